import type { Database } from '@registry-manager/database'
import type { RequestPrincipal } from '@registry-manager/http'
import { createAccounts } from './index.ts'
import { createPasswordHasher } from './password-hasher.ts'
import type { PasswordReset } from './reset-password.ts'

const LEAVE_DIRECTORY = '--leave-directory'
/** The principal of the command's changes. */
const COMMAND: RequestPrincipal = { kind: 'command', id: null, name: 'reset-password' }
const HELP = new Set(['--help', '-h', 'help'])

export interface ResetPasswordCommand {
  /** How the user calls the command, such as `registry-manager reset-password`. */
  readonly name: string
  readonly args: readonly string[]
  /** Opens the database. Not called for help or wrong usage. */
  readonly open: () => Promise<{ readonly db: Database; readonly close: () => Promise<void> }>
}

/** The output of the command, and the exit code of its process. */
interface CommandResult {
  readonly code: 0 | 1 | 2
  readonly out?: string
  readonly err?: string
}

/** Runs `reset-password NAME`, prints the result and sets the exit code: 1 for a failure, 2 for wrong usage. */
export async function runResetPassword(command: ResetPasswordCommand): Promise<void> {
  const { code, out = '', err = '' } = await execute(command).catch(failed)
  process.stdout.write(out)
  process.stderr.write(err)
  process.exitCode = code
}

async function execute({ name, args, open }: ResetPasswordCommand): Promise<CommandResult> {
  if (args.some((arg) => HELP.has(arg))) return { code: 0, out: usage(name) }
  const leaveDirectory = args.includes(LEAVE_DIRECTORY)
  const [username, ...others] = args.filter((arg) => arg !== LEAVE_DIRECTORY)
  if (username === undefined || others.length > 0 || username.startsWith('-')) {
    return { code: 2, err: usage(name) }
  }
  const { db, close } = await open()
  try {
    const accounts = createAccounts(db, createPasswordHasher(), COMMAND)
    return toResult(await accounts.resetPassword({ username, leaveDirectory }), username)
  } finally {
    await close()
  }
}

/** Node's AggregateError of several connection attempts has a code and no message. */
function failed(error: unknown): CommandResult {
  const { message, code } = error as Error & { code?: string }
  return { code: 1, err: `the password was not reset: ${message || code}\n` }
}

function toResult(reset: PasswordReset, given: string): CommandResult {
  switch (reset.outcome) {
    case 'reset': {
      const { username, password, enabled } = reset
      const still = `${username} is still disabled: an administrator can enable it (PATCH /user, enabled=true)\n`
      return {
        code: 0,
        out:
          `new password of ${username} (shown this once): ${password}\n` +
          `all sessions of ${username} have ended\n${enabled ? '' : still}`,
      }
    }
    case 'absent': {
      const administrators = reset.administrators.join(', ') || 'none'
      return {
        code: 1,
        err: `there is no user ${JSON.stringify(given)}; cluster administrators: ${administrators}\n`,
      }
    }
    case 'provider':
      return {
        code: 1,
        err:
          `${reset.username} signs in at an OpenID Connect provider: run this again with ${LEAVE_DIRECTORY} to make ` +
          `the account a local one with its own password\n`,
      }
    case 'directory':
      return {
        code: 1,
        err:
          `${reset.username} is a directory user: reset the password in the directory, or run this again with ` +
          `${LEAVE_DIRECTORY} to make the account a local one with its own password\n`,
      }
  }
}

function usage(name: string): string {
  return `usage: ${name} NAME [${LEAVE_DIRECTORY}]

Gives the user NAME a new password, prints it once, and ends all sessions of the account.
  ${LEAVE_DIRECTORY}  makes a user of the directory or of a provider a local one, with its own password
`
}
