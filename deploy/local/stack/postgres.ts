import { chownSync, existsSync, mkdirSync, readFileSync, renameSync, rmSync } from 'node:fs'
import { join } from 'node:path'
import { spawnSync } from 'node:child_process'
import { asUser, startChild } from '../child-process.ts'
import type { Running } from '../child-process.ts'

export interface PostgresOptions {
  /** The folder of the commands, and the folder of their libraries. */
  readonly binaries: { readonly folder: string; readonly libraries: string | undefined }
  /** Folder of the data. */
  readonly folder: string
  readonly port: number
  /** File of the superuser's password. */
  readonly passwordFile: string
  readonly maxConnections: number
  readonly log: string
}

/** The superuser. */
const USER = 'registry'
/** The owner of the database. */
export const OWNER = 'registry_manager'

/** Creates the database if it does not exist. Throws with initdb's message if that fails. */
export function createCluster({ binaries, folder, passwordFile }: PostgresOptions): void {
  if (existsSync(join(folder, 'PG_VERSION'))) return
  // Created under another name and renamed: a start that was killed leaves no incomplete database.
  const unfinished = `${folder}.unfinished`
  rmSync(unfinished, { recursive: true, force: true })
  mkdirSync(unfinished, { mode: 0o700 })
  const user = postgresUser()
  if (user !== undefined) chownSync(unfinished, user.uid, user.gid)
  const args = [`--username=${USER}`, '--auth=scram-sha-256', `--pwfile=${passwordFile}`]
  args.push('--encoding=UTF8', '--locale=C', `--pgdata=${unfinished}`)
  const initdb = join(binaries.folder, 'initdb')
  const [command = '', ...rest] = [
    ...(user === undefined ? [] : ['setpriv', ...asUser(user)]),
    initdb,
    ...args,
  ]
  const options = { cwd: unfinished, env: environment(binaries.libraries), encoding: 'utf8' as const }
  const { status, error, stderr } = spawnSync(command, rest, options)
  if (status !== 0)
    throw new Error(`the database cannot be created: ${error?.message ?? stderr.trim().split('\n').at(-1)}`)
  renameSync(unfinished, folder)
}

/** Returns the URL of the database of `startPostgres`, for its owner or for the superuser. */
export function databaseUrlOf(
  { port, passwordFile }: Pick<PostgresOptions, 'port' | 'passwordFile'>,
  user: typeof OWNER | typeof USER = USER,
): string {
  return `postgres://${user}:${readFileSync(passwordFile, 'utf8')}@127.0.0.1:${port}/postgres`
}

/** Starts Postgres on a loopback port. */
export function startPostgres(options: PostgresOptions, onDeath: (reason: string) => void): Promise<Running> {
  const { binaries, folder, port, maxConnections, log } = options
  const settings = [
    'listen_addresses=127.0.0.1',
    `port=${port}`,
    // All files stay in the data folder.
    'unix_socket_directories=',
    `max_connections=${maxConnections}`,
    'shared_buffers=64MB',
    // Just-in-time compilation needs a large library and does not pay for short queries.
    'jit=off',
  ]
  return startChild(
    {
      name: 'postgres',
      command: join(binaries.folder, 'postgres'),
      args: ['-D', folder, ...settings.flatMap((setting) => ['-c', setting])],
      cwd: folder,
      env: environment(binaries.libraries),
      user: postgresUser(),
      // Fast shutdown: ends connections and writes a checkpoint. After SIGKILL the next start recovers.
      stopBy: [
        ['SIGINT', 1500],
        ['SIGQUIT', 500],
      ],
      log,
      isReady: (printed) => printed.includes('database system is ready to accept connections'),
    },
    onDeath,
  )
}

/** Returns the user that Postgres runs as: it refuses to run as root. */
function postgresUser(): { uid: number; gid: number } | undefined {
  if (process.getuid?.() !== 0) return undefined
  const users = readFileSync('/etc/passwd', 'utf8')
    .split('\n')
    .map((line) => line.split(':'))
  const user = users.find(([name]) => name === 'postgres') ?? users.find(([name]) => name === 'nobody')
  return { uid: Number(user?.[2]), gid: Number(user?.[3]) }
}

/** Without the machine's language and time zone: the launcher reads Postgres' messages. */
function environment(libraries: string | undefined): NodeJS.ProcessEnv {
  const { PATH, HOME } = process.env
  return { PATH, HOME, LC_ALL: 'C', TZ: 'UTC', ...(libraries && { LD_LIBRARY_PATH: libraries }) }
}
