import { Migrator } from 'kysely/migration'
import type { Database } from './connect.ts'
import * as accounts from './migrations/2026-11-21-accounts.ts'
import * as index from './migrations/2026-11-21-index.ts'
import * as sha512 from './migrations/2026-11-21-sha512.ts'

const MIGRATIONS = {
  '2026-11-21-accounts': accounts,
  '2026-11-21-index': index,
  '2026-11-21-sha512': sha512,
}

/**
 * Brings the schema to this version. Safe to call from several processes at once: one works, the others wait.
 * A schema of a later version is left as it is. Answers the names of the migrations that it ran; throws the
 * first one's error, with all of it undone.
 */
export async function migrateToLatest(db: Database): Promise<readonly string[]> {
  if ((await pendingMigrations(db)).length === 0) return []
  const { error, results = [] } = await migratorOf(db).migrateToLatest()
  if (error !== undefined) throw error
  return results.map(({ migrationName }) => migrationName)
}

/** The names of this version's migrations that the database has not seen. */
export async function pendingMigrations(db: Database): Promise<readonly string[]> {
  const known = await migratorOf(db).getMigrations()
  return known.filter(({ executedAt }) => executedAt === undefined).map(({ name }) => name)
}

function migratorOf(db: Database): Migrator {
  return new Migrator({ db, provider: { getMigrations: async () => MIGRATIONS } })
}
