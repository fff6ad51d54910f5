import { sql } from 'kysely'
import type { Migration, MigrationResultSet } from 'kysely/migration'
import { Migrator, NO_MIGRATIONS } from 'kysely/migration'
import type { Database } from './connect.ts'
import * as accounts from './migrations/2026-11-21-accounts.ts'
import * as index from './migrations/2026-11-21-index.ts'
import * as reconcile from './migrations/2026-11-21-reconcile.ts'
import * as sha512 from './migrations/2026-11-21-sha512.ts'
import * as tokens from './migrations/2026-11-21-tokens.ts'
import * as directory from './migrations/2026-11-22-directory.ts'
import * as deletion from './migrations/2026-11-28-deletion.ts'
import * as indexWork from './migrations/2026-11-28-index-work.ts'
import * as signIn from './migrations/2026-11-28-sign-in.ts'
import * as imageEvents from './migrations/2026-11-29-image-events.ts'
import * as events from './migrations/2026-11-29-events.ts'
import * as signingKeys from './migrations/2026-11-29-signing-keys.ts'
import * as manifestStates from './migrations/2026-11-29-states-of-manifests.ts'
import * as trigrams from './migrations/2026-11-29-trigrams.ts'
import * as registryDeletions from './migrations/2026-11-30-registry-deletions.ts'
import * as browserSessions from './migrations/2026-12-01-browser-sessions.ts'
import * as personalTokens from './migrations/2026-12-01-personal-tokens.ts'
import * as providers from './migrations/2026-12-01-providers.ts'
import * as trustRules from './migrations/2026-12-01-trust-rules.ts'
import * as grants from './migrations/2026-12-02-grants.ts'
import * as deviceAuthorizations from './migrations/2026-12-02-device-authorizations.ts'
import * as repositoryNamespaces from './migrations/2026-12-03-repository-namespaces.ts'
import * as tokenConditions from './migrations/2026-12-03-token-conditions.ts'
import * as tagRules from './migrations/2026-12-04-tag-rules.ts'
import * as quotas from './migrations/2026-12-06-quotas.ts'
import * as usageTriggers from './migrations/2026-12-06-usage-triggers.ts'
import * as tagHistory from './migrations/2026-12-07-tag-history.ts'
import * as pulls from './migrations/2026-12-08-pulls.ts'
import * as retention from './migrations/2026-12-08-retention.ts'
import * as storage from './migrations/2026-12-08-storage.ts'
import * as storedBlobs from './migrations/2026-12-08-stored-blobs.ts'
import * as retentionRuns from './migrations/2026-12-08-tag-retention-runs.ts'
import * as trash from './migrations/2026-12-08-trash.ts'
import * as linkedBlobs from './migrations/2026-12-09-e-linked-blobs.ts'
import * as cheaperPushes from './migrations/2026-12-09-f-cheaper-pushes.ts'

const MIGRATIONS: Readonly<Record<string, Migration>> = {
  '2026-11-21-accounts': accounts,
  '2026-11-21-index': index,
  '2026-11-21-reconcile': reconcile,
  '2026-11-21-sha512': sha512,
  '2026-11-21-tokens': tokens,
  '2026-11-22-directory': directory,
  '2026-11-28-deletion': deletion,
  '2026-11-28-index-work': indexWork,
  '2026-11-28-sign-in': signIn,
  '2026-11-29-events': events,
  '2026-11-29-image-events': imageEvents,
  '2026-11-29-signing-keys': signingKeys,
  '2026-11-29-states-of-manifests': manifestStates,
  '2026-11-29-trigrams': trigrams,
  '2026-11-30-registry-deletions': registryDeletions,
  '2026-12-01-browser-sessions': browserSessions,
  '2026-12-01-personal-tokens': personalTokens,
  '2026-12-01-providers': providers,
  '2026-12-01-trust-rules': trustRules,
  '2026-12-02-grants': grants,
  '2026-12-02-device-authorizations': deviceAuthorizations,
  '2026-12-03-repository-namespaces': repositoryNamespaces,
  '2026-12-03-token-conditions': tokenConditions,
  '2026-12-04-tag-rules': tagRules,
  '2026-12-06-quotas': quotas,
  '2026-12-06-usage-triggers': usageTriggers,
  '2026-12-07-tag-history': tagHistory,
  '2026-12-08-pulls': pulls,
  '2026-12-08-retention': retention,
  '2026-12-08-storage': storage,
  '2026-12-08-stored-blobs': storedBlobs,
  '2026-12-08-tag-retention-runs': retentionRuns,
  '2026-12-08-trash': trash,
  '2026-12-09-e-linked-blobs': linkedBlobs,
  '2026-12-09-f-cheaper-pushes': cheaperPushes,
}

/**
 * Migrates the schema to this version. Several processes may call this at the same time: one migrates, the others
 * wait. The schema of a later version stays unchanged. Returns the names of the migrations that ran. If one fails,
 * throws its error, and all of them are rolled back.
 */
export async function migrateToLatest(db: Database): Promise<readonly string[]> {
  if ((await pendingMigrations(db)).length === 0) return []
  return namesOf(await migratorOf(db).migrateToLatest())
}

/** Migrates an empty database to the schema of exactly these migrations. */
export async function migrateThrough(db: Database, migrations: readonly string[]): Promise<void> {
  const last = migrations.toSorted().at(-1)
  if (last !== undefined) namesOf(await migratorOf(db).migrateTo(last))
}

/** Drops the whole schema with its contents. */
export async function migrateDown(db: Database): Promise<void> {
  namesOf(await migratorOf(db).migrateTo(NO_MIGRATIONS))
}

export function isKnownMigration(name: string): boolean {
  return Object.hasOwn(MIGRATIONS, name)
}

/** Names of all migrations that ran on the database, including those of a later version. */
export async function finishedMigrations(db: Database): Promise<readonly string[]> {
  const table = await sql`select from pg_class where oid = to_regclass('kysely_migration')`.execute(db)
  if (table.rows.length === 0) return []
  const { rows } = await sql<{ name: string }>`select name from kysely_migration order by name`.execute(db)
  return rows.map(({ name }) => name)
}

/** Names of this version's migrations that have not run on the database. */
export async function pendingMigrations(db: Database): Promise<readonly string[]> {
  const known = await migratorOf(db).getMigrations()
  return known.filter(({ executedAt }) => executedAt === undefined).map(({ name }) => name)
}

function migratorOf(db: Database): Migrator {
  return new Migrator({ db, provider: { getMigrations: async () => MIGRATIONS } })
}

function namesOf({ error, results = [] }: MigrationResultSet): readonly string[] {
  if (error !== undefined) throw error
  return results.map(({ migrationName }) => migrationName)
}
