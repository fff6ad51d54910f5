import { existsSync, renameSync } from 'node:fs'
import { join } from 'node:path'
import { explainError } from '@registry-manager/http'
import type { Database } from '@registry-manager/database'
import {
  MIGRATING,
  connectPostgres,
  grantOwnership,
  migrateToLatest,
  runBackupCommand,
} from '@registry-manager/database'
import { madeSecret } from '../data-folder.ts'
import { ensureFirstAdministrator } from '../first-administrator.ts'
import { freePort } from '../free-port.ts'
import { freeNameBeside } from '../own-files.ts'
import type { StackConfig } from './config.ts'
import type { Parts, Planned } from './parts.ts'
import { OWNER, createCluster, databaseUrlOf, startPostgres } from './postgres.ts'

/** A backup that is restored into an empty database before anything else. */
const BACKUP = 'restore.gz'

/** Connections of one service process, at most, and some to look at the database with. */
const [CONNECTIONS_OF_A_SERVICE, SPARE_CONNECTIONS] = [10, 20]

/** A Postgres of the stack's own, unless there is one elsewhere. */
export async function planDatabase(config: StackConfig, parts: Parts): Promise<Planned> {
  const { dataDir, databaseUrl, replicas, postgres } = config
  if (databaseUrl !== undefined) return { url: databaseUrl, start: async () => {} }
  const options = {
    binaries: postgres,
    folder: join(dataDir, 'postgres'),
    port: await freePort(),
    passwordFile: madeSecret(dataDir, 'database-password').file,
    maxConnections: replicas * 2 * CONNECTIONS_OF_A_SERVICE + SPARE_CONNECTIONS,
    log: parts.logOf('postgres'),
  }
  const owner = madeSecret(dataDir, 'database-owner-password')
  return {
    url: databaseUrlOf({ ...options, passwordFile: owner.file }, OWNER),
    async start() {
      createCluster(options)
      await parts.group()('postgres', (onDeath) => startPostgres(options, onDeath))
      const db = connectPostgres(databaseUrlOf(options), MIGRATING)
      // Every time: a start that was killed may have made the one and not the other.
      await grantOwnership(db, { role: OWNER, password: owner.value }).finally(() => db.destroy())
    },
  }
}

/**
 * Brings the database to this version's schema, with a backup's content where one was put into the data folder, and
 * makes the first administrator. Returns the password that was made, if it has not been shown yet.
 */
export async function prepareDatabase(
  databaseUrl: string,
  { dataDir, administrator }: StackConfig,
  say: (line: string) => void,
): Promise<string | undefined> {
  const db = connectPostgres(databaseUrl, MIGRATING)
  try {
    await restoreWhatIsThere(db, join(dataDir, BACKUP), say)
    await migrateToLatest(db)
    return await ensureFirstAdministrator(db, { dataDir, ...administrator }, say)
  } finally {
    await db.destroy()
  }
}

/** Once: what comes after it is not undone by the next start. */
async function restoreWhatIsThere(db: Database, backup: string, say: (line: string) => void): Promise<void> {
  if (!existsSync(backup)) return
  try {
    say(`${await runBackupCommand(db, 'restore', backup)} of ${backup}`)
  } catch (error) {
    throw new Error(`${backup} cannot be restored: ${explainError(error)}`, { cause: error })
  }
  renameSync(backup, freeNameBeside(`${backup}.restored`))
}
