import { chownSync, existsSync, mkdirSync, readFileSync, renameSync, rmSync } from 'node:fs'
import { join } from 'node:path'
import { spawnSync } from 'node:child_process'
import { asUser, startChild } from '../child.ts'
import type { Running } from '../child.ts'

export interface PostgresOptions {
  /** The folder of its commands, and that of the libraries that came with them. */
  readonly binaries: { readonly folder: string; readonly libraries: string | undefined }
  /** Folder of the data. */
  readonly folder: string
  readonly port: number
  /** A file that holds the superuser's password. */
  readonly passwordFile: string
  readonly maxConnections: number
  readonly log: string
}

/** The superuser. */
const USER = 'registry'
/** Whose the database is. */
export const OWNER = 'registry_manager'

/** Makes the database, unless it is there. Throws with what initdb said when it cannot be made. */
export function createCluster({ binaries, folder, passwordFile }: PostgresOptions): void {
  if (existsSync(join(folder, 'PG_VERSION'))) return
  // Made aside and moved: a start that was killed leaves nothing that looks like a database.
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
    throw new Error(`the database cannot be made: ${error?.message ?? stderr.trim().split('\n').at(-1)}`)
  renameSync(unfinished, folder)
}

/** The URL of the database that `startPostgres` runs, for its owner or for the superuser. */
export function databaseUrlOf(
  { port, passwordFile }: Pick<PostgresOptions, 'port' | 'passwordFile'>,
  user: typeof OWNER | typeof USER = USER,
): string {
  return `postgres://${user}:${readFileSync(passwordFile, 'utf8')}@127.0.0.1:${port}/postgres`
}

/** Runs Postgres on a loopback port. */
export function startPostgres(options: PostgresOptions, onDeath: (reason: string) => void): Promise<Running> {
  const { binaries, folder, port, maxConnections, log } = options
  const settings = [
    'listen_addresses=127.0.0.1',
    `port=${port}`,
    // No file of it lies outside of its folder.
    'unix_socket_directories=',
    `max_connections=${maxConnections}`,
    'shared_buffers=64MB',
    // Its compiler is a large library that a database of this size has no use for.
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
      // Connections are ended, everything is written down; at the worst the next start does that.
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

/** Postgres refuses to run as root: who it runs as instead. */
function postgresUser(): { uid: number; gid: number } | undefined {
  if (process.getuid?.() !== 0) return undefined
  const users = readFileSync('/etc/passwd', 'utf8')
    .split('\n')
    .map((line) => line.split(':'))
  const user = users.find(([name]) => name === 'postgres') ?? users.find(([name]) => name === 'nobody')
  return { uid: Number(user?.[2]), gid: Number(user?.[3]) }
}

/** Nothing of the machine's language or time zone: what it says is looked at. */
function environment(libraries: string | undefined): NodeJS.ProcessEnv {
  const { PATH, HOME } = process.env
  return { PATH, HOME, LC_ALL: 'C', TZ: 'UTC', ...(libraries && { LD_LIBRARY_PATH: libraries }) }
}
