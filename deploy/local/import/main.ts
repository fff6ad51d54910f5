/**
 * `npm run import -- KIND SOURCE`: writes users, groups, rights and robots of another registry into an access file, and
 * says what cannot be taken over. With `--apply` it applies the file as `npm run apply` does. docs/migrating.md lists
 * the kinds.
 */
import { existsSync, readFileSync, writeFileSync } from 'node:fs'
import { basename, resolve } from 'node:path'
import { parseArgs } from 'node:util'
import { readEnvironment } from '@registry-manager/http'
import { EXIT, applyAccess, clientOf, readText, runAsCommand } from '../apply/command.ts'
import type { ExitCode } from '../apply/command.ts'
import { importDockerAuth } from './docker-auth.ts'
import { createHarborClient } from './harbor-client.ts'
import { importHarbor } from './harbor.ts'
import { importHtpasswd } from './htpasswd.ts'
import type { Imported } from './imported.ts'
import { schema } from './settings.ts'
import { writeAccessFile } from './write-access-file.ts'

const print = (line: string) => process.stdout.write(`${line}\n`)
const printError = (line: string) => process.stderr.write(`${line}\n`)
const { values, positionals } = parseArgs({
  options: {
    output: { type: 'string', default: 'access.yaml' },
    apply: { type: 'boolean', default: false },
    passwords: { type: 'string' },
    'any-depth': { type: 'boolean', default: false },
    provider: { type: 'string' },
  },
  allowPositionals: true,
})
const [kind = '', source = ''] = positionals

/** Undefined for an unknown kind. */
async function read(): Promise<Imported | undefined> {
  switch (kind) {
    case 'docker_auth':
      return importDockerAuth(readText(source), { anyDepth: values['any-depth'] })
    case 'htpasswd':
      return importHtpasswd(readText(source))
    case 'harbor': {
      const { HARBOR_USERNAME: username, HARBOR_PASSWORD: password } = readEnvironment(schema, process.env)
      const url = new URL(source)
      if (url.protocol !== 'https:' && !['localhost', '127.0.0.1', '[::1]'].includes(url.hostname)) {
        throw new Error(`${source} must be an https URL, because the password is sent there`)
      }
      const client = createHarborClient({ url: source, username, password })
      return importHarbor(client, { provider: values.provider, nowMs: Date.now() })
    }
    default:
      return undefined
  }
}

/** Writes a file that only its owner can read. A file with another content stays. */
function write(file: string, text: string): void {
  const path = resolve(file)
  if (!existsSync(path)) return writeFileSync(path, text, { mode: 0o600, flag: 'wx' })
  if (readFileSync(path, 'utf8') === text) return
  throw new Error(
    `${file} exists and has another content: apply it (npm run apply), or name another file by --output=FILE`,
  )
}

async function run(): Promise<ExitCode> {
  const imported = await read()
  if (imported === undefined) {
    printError(`there is no import of ${kind}: it must be docker_auth, htpasswd or harbor`)
    return EXIT.usage
  }
  const { users, groups, registryTokens, grants, report } = imported
  const text = writeAccessFile(imported, `Imported from ${kind}. npm run apply applies this file.`)
  write(values.output, text)
  print(
    `${users.size} users, ${groups.size} groups, ${registryTokens.size} registry tokens, ` +
      `${[...grants.values()].flat().length} grants`,
  )
  if (report.length > 0)
    print(`differences, and entries that are not imported:\n${report.map((line) => `  ${line}`).join('\n')}`)
  print(`written to ${values.output}: read it, and keep it secret if it has hashes of passwords`)
  if (!values.apply) {
    print(`nothing was applied; the difference shows: npm run apply -- ${values.output} --dry-run`)
    return EXIT.done
  }
  const [name, passwords] = [basename(values.output), values.passwords]
  const options = { name, text, dryRun: false, onlyAdd: true, passwords, print, printError }
  return applyAccess(clientOf(process.env), options)
}

await runAsCommand(run)
