import { sql } from 'kysely'
import type { Test } from 'tap'
import t from 'tap'
import { pgliteForTest } from '@registry-manager/testing/pglite'
import { startPostgres } from '@registry-manager/testing/real-postgres'
import type { Database } from '../src/connect.ts'
import { connectPostgres } from '../src/connect.ts'
import { migrateToLatest, pendingMigrations } from '../src/migrate.ts'

const connect = (t: Test, url: string): Database => {
  const db = connectPostgres(url)
  t.teardown(() => db.destroy())
  return db
}

/** How Postgres finds a part of a name if it may not read all names. */
async function planOfSearch(db: Database): Promise<string> {
  return db.transaction().execute(async (tx) => {
    await sql`set local enable_seqscan = off`.execute(tx)
    const { rows } = await sql<{ 'QUERY PLAN': string }>`
      explain select id from repositories where name like '%app-7%' and deleting_since is null`.execute(tx)
    return rows.map((row) => row['QUERY PLAN']).join('\n')
  })
}

t.test('a search for a part of a repository name uses an index', async (t) => {
  const postgres = await startPostgres(t)
  if (postgres === undefined) return
  const db = connect(t, postgres.url)
  await migrateToLatest(db)
  t.match(await planOfSearch(db), /Bitmap Index Scan on all_repositories_trigrams/)
})

t.test('a role that may not create extensions migrates without the index', async (t) => {
  const postgres = await startPostgres(t)
  if (postgres === undefined) return
  const superuser = connect(t, postgres.url)
  await sql`create role plain login`.execute(superuser)
  await sql`grant create on schema public to plain`.execute(superuser)
  const db = connect(t, postgres.url.replace('registry@', 'plain@'))
  await migrateToLatest(db)
  t.same(await pendingMigrations(db), [])
  t.notMatch(await planOfSearch(db), /trigrams/)
})

t.test('a database without the extension migrates without the index', async (t) => {
  const db = await pgliteForTest(t)
  t.same(await pendingMigrations(db), [])
  t.notMatch(await planOfSearch(db), /trigrams/)
})
