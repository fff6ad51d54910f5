import { Migrator } from 'kysely/migration'
import type { Database } from './connect.ts'
import * as accounts from './migrations/2026-11-21-accounts.ts'
import * as index from './migrations/2026-11-21-index.ts'
import * as reconcile from './migrations/2026-11-21-reconcile.ts'
import * as sha512 from './migrations/2026-11-21-sha512.ts'
import * as tokens from './migrations/2026-11-21-tokens.ts'
import * as directory from './migrations/2026-11-22-directory.ts'

const MIGRATIONS = {
  '2026-11-21-accounts': accounts,
  '2026-11-21-index': index,
  '2026-11-21-reconcile': reconcile,
  '2026-11-21-sha512': sha512,
  '2026-11-21-tokens': tokens,
  '2026-11-22-directory': directory,
}

/**
 * Brings the schema to this version. Safe to call from several processes at once: one works, the others wait.
 * Answers the names of the migrations that it ran; throws the first one's error, with all of it undone.
 */
export async function migrateToLatest(db: Database): Promise<readonly string[]> {
  const migrator = new Migrator({ db, provider: { getMigrations: async () => MIGRATIONS } })
  const { error, results = [] } = await migrator.migrateToLatest()
  if (error !== undefined) throw error
  return results.map(({ migrationName }) => migrationName)
}
