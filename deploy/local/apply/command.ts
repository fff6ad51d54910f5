import { appendFileSync, chmodSync, readFileSync } from 'node:fs'
import { resolve } from 'node:path'
import { explainError, readEnvironment } from '@registry-manager/http'
import { Type } from 'typebox'
import { applySteps } from './apply-steps.ts'
import type { AccessFile, FileFault } from './access-file.ts'
import type { ManagementClient } from './management-client.ts'
import { RequestFailed, createManagementClient } from './management-client.ts'
import { planAccess } from './plan-access.ts'
import { readAccessFile } from './read-access-file.ts'
import type { NewPassword, Step } from './step.ts'
import { countChanges, renderSteps } from './step.ts'

/** The settings of `npm run apply` and `npm run import`. */
export const schema = Type.Object({
  PUBLIC_URL: Type.Refine(
    Type.String({
      default: 'http://localhost:8500',
      description: 'URL of registry-manager, such as https://registry.example.com',
    }),
    (text) => /^https?:\/\/[^/?#@]+\/?$/.test(text) && URL.canParse(text),
    () => 'must be a URL such as https://registry.example.com',
  ),
  APPLY_USERNAME: Type.String({
    default: 'admin',
    description: 'username of a cluster administrator, or of a manager of the namespaces in the file',
  }),
  APPLY_PASSWORD: Type.String({
    description: 'password of APPLY_USERNAME, or a personal token without scopes',
  }),
})

/** Exit codes: of a command that has done its work, that failed, that was called wrongly, and of a found difference. */
export const EXIT = { done: 0, failed: 1, usage: 2, different: 3 } as const
export type ExitCode = (typeof EXIT)[keyof typeof EXIT]

export interface ApplyOptions {
  /** The name of the file, for messages. */
  readonly name: string
  readonly text: string
  readonly dryRun: boolean
  /** Refuse a difference that removes or changes what is there. */
  readonly onlyAdd?: boolean
  /** The file that receives the passwords of new accounts. */
  readonly passwords: string | undefined
  readonly print: (line: string) => void
  readonly printError: (line: string) => void
}

/** A client for PUBLIC_URL. Throws ConfigError for invalid settings. */
export function clientOf(env: NodeJS.ProcessEnv): ManagementClient {
  const { PUBLIC_URL, APPLY_USERNAME, APPLY_PASSWORD } = readEnvironment(schema, env)
  const { protocol, hostname } = new URL(PUBLIC_URL)
  if (protocol === 'http:' && !['localhost', '127.0.0.1', '[::1]'].includes(hostname)) {
    process.stderr.write(`warning: ${PUBLIC_URL} is not https: the password is sent unencrypted\n`)
  }
  return createManagementClient({ url: PUBLIC_URL, username: APPLY_USERNAME, password: APPLY_PASSWORD })
}

/** The text of a file that the command line names. */
export function readText(file: string): string {
  return readFileSync(resolve(file), 'utf8')
}

/** Brings the server to what an access file says, or with `dryRun` prints the difference. */
export async function applyAccess(client: ManagementClient, options: ApplyOptions): Promise<ExitCode> {
  const { name, printError } = options
  const reportFaults = (faults: readonly FileFault[]) => {
    for (const { line, text } of faults) printError(`${name}:${line}: ${text}`)
    printError(
      `${name} has ${faults.length === 1 ? 'a fault' : `${faults.length} faults`}: nothing was applied`,
    )
    return EXIT.usage
  }
  const file = readAccessFile(options.text)
  if ('faults' in file) return reportFaults(file.faults)
  try {
    const plan = await planAccess(file, client)
    if ('faults' in plan) return reportFaults(plan.faults)
    return await run(plan.steps, file, client, options)
  } catch (error) {
    if (!(error instanceof RequestFailed)) throw error
    printError(`${error.message}\nnothing was applied`)
    return EXIT.failed
  }
}

async function run(
  steps: readonly Step[],
  file: AccessFile,
  client: ManagementClient,
  { name, dryRun, onlyAdd = false, passwords, print, printError }: ApplyOptions,
): Promise<ExitCode> {
  if (steps.length === 0) {
    print('nothing to change: the server matches the file')
    return EXIT.done
  }
  print(renderSteps(steps))
  if (dryRun) {
    print(`${countChanges(steps)}; nothing was applied (--dry-run)`)
    return EXIT.different
  }
  if (onlyAdd && steps.some(({ changes }) => changes.some(({ sign }) => sign !== '+'))) {
    printError(
      'nothing was applied: the file would remove or change the entries that are marked with - or ~. ' +
        `Edit ${name} so that it says what you want, and apply it with npm run apply`,
    )
    return EXIT.failed
  }
  const newAccounts = steps.filter(({ makesPassword }) => makesPassword)
  if (newAccounts.length > 0 && passwords === undefined) {
    const titles = newAccounts.map(({ title }) => title).join(', ')
    printError(
      `these accounts get passwords: ${titles}\n` +
        'nothing was applied: name a file for the passwords, such as --passwords=passwords.txt, and run this again',
    )
    return EXIT.usage
  }
  // A file that cannot be written is found before anything is changed.
  if (newAccounts.length > 0) openPasswordFile(passwords ?? '')
  const applied = await applySteps(steps, client, (made) => storePassword(passwords ?? '', made))
  if (applied.outcome === 'done') {
    print(`applied: ${countChanges(steps)}`)
    if (newAccounts.length > 0) print(`the passwords of new accounts are in ${passwords}`)
    return EXIT.done
  }
  const { done, failed, left, error, path } = applied
  const titles = (some: readonly Step[]) => some.map(({ title }) => title).join(', ') || 'nothing'
  printError(`${name}:${file.lineOf(path)}: ${error.message}`)
  printError(`applied: ${titles(done)}`)
  printError(
    error.status === undefined
      ? `unknown, perhaps applied: ${failed.title}\nnot applied: ${titles(left)}`
      : `not applied: ${titles([failed, ...left])}`,
  )
  if (error.status === undefined && failed.makesPassword === true) {
    printError(`if ${failed.title} exists now, its password is lost: make a new one`)
  }
  printError('run the same command again: it applies what is missing')
  return EXIT.failed
}

/** Creates a file that only its owner can read, or takes the other readers of an existing one away. */
function openPasswordFile(file: string): void {
  appendFileSync(resolve(file), '', { mode: 0o600 })
  chmodSync(resolve(file), 0o600)
}

/** Appends a password to a file that only its owner can read. */
function storePassword(file: string, { username, password }: NewPassword): void {
  appendFileSync(resolve(file), `${username} ${password}\n`, { mode: 0o600, flush: true })
}

/** Runs a command and sets the exit code of this process. */
export async function runAsCommand(work: () => Promise<ExitCode>): Promise<void> {
  try {
    process.exitCode = await work()
  } catch (error) {
    process.stderr.write(`${explainError(error)}\n`)
    process.exitCode = (error as Error).name === 'ConfigError' ? EXIT.usage : EXIT.failed
  }
}
