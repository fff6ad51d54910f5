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
import type { Planned, Processes } from './process-group.ts'
import { OWNER, createCluster, databaseUrlOf, startPostgres } from './postgres.ts'

/** File of a backup that the start restores into an empty database. */
const BACKUP = 'restore.gz'

/** Maximum of connections of one service process, and spare connections for operators. */
const [CONNECTIONS_OF_A_SERVICE, SPARE_CONNECTIONS] = [10, 20]

/** Starts the stack's own Postgres, unless DATABASE_URL names another one. */
export async function planDatabase(config: StackConfig, processes: Processes): Promise<Planned> {
  const { dataDir, databaseUrl, replicas, postgres } = config
  if (databaseUrl !== undefined) return { url: databaseUrl, start: async () => {} }
  const options = {
    binaries: postgres,
    folder: join(dataDir, 'postgres'),
    port: await freePort(),
    passwordFile: madeSecret(dataDir, 'database-password').file,
    maxConnections: replicas * 2 * CONNECTIONS_OF_A_SERVICE + SPARE_CONNECTIONS,
    log: processes.logOf('postgres'),
  }
  const owner = madeSecret(dataDir, 'database-owner-password')
  return {
    url: databaseUrlOf({ ...options, passwordFile: owner.file }, OWNER),
    async start() {
      createCluster(options)
      await processes.group()('postgres', (onDeath) => startPostgres(options, onDeath))
      const db = connectPostgres(databaseUrlOf(options), MIGRATING)
      // Checked at every start: a start that was killed may have created one and not the other.
      await grantOwnership(db, { role: OWNER, password: owner.value }).finally(() => db.destroy())
    },
  }
}

/**
 * Migrates the database, restores a backup from the data folder if there is one, and creates the first administrator.
 * Returns the generated password if it was not shown yet.
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

/** Restores a backup once: the next start must not undo later changes. */
async function restoreWhatIsThere(db: Database, backup: string, say: (line: string) => void): Promise<void> {
  if (!existsSync(backup)) return
  try {
    say(`${await runBackupCommand(db, 'restore', backup)} of ${backup}`)
  } catch (error) {
    throw new Error(`${backup} cannot be restored: ${explainError(error)}`, { cause: error })
  }
  renameSync(backup, freeNameBeside(`${backup}.restored`))
}
