import { chown } from 'node:fs/promises'
import { join } from 'node:path'
import { freePort } from '../deploy/local/free-port.ts'
import { asPostgresUser, findPostgres, postgresUser } from '@registry-manager/testing/postgres-binaries'
import { runToEnd, startChild } from './child.ts'
import { temporaryFolder } from './cleanup.ts'

/** Starts a Postgres with its default settings and an empty database. Returns its URL. */
export async function startPostgres(): Promise<string> {
  const found = findPostgres()
  if ('reason' in found) throw new Error(found.reason)
  const user = postgresUser()
  const folder = await temporaryFolder()
  if (user !== undefined) await chown(folder, user.uid, user.gid)

  const data = join(folder, 'data')
  const initialise = ['--auth=trust', '--username=bench', '--no-locale', '--no-sync', '--pgdata', data]
  const initdb = asPostgresUser(join(found.folder, 'initdb'), initialise)
  await runToEnd(...initdb, { cwd: folder, env: found.env })
  const port = await freePort()
  await startChild({
    name: 'postgres',
    command: join(found.folder, 'postgres'),
    args: ['-D', data, '-h', '127.0.0.1', '-p', String(port), '-k', folder],
    env: found.env,
    user,
    // SIGINT is Postgres's fast shutdown: it ends connections and writes all data.
    stopBy: [['SIGINT', 8000]],
    log: join(folder, 'log'),
    isReady: (printed) => printed.includes('database system is ready to accept connections'),
  })
  return `postgres://bench@127.0.0.1:${port}/postgres`
}
