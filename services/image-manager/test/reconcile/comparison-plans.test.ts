import { connectPostgres } from '@registry-manager/database'
import { startMigratedPostgres } from '@registry-manager/testing/real-postgres'
import { sql } from 'kysely'
import t from 'tap'
import { createComparisonRepository } from '../../src/reconcile/comparison-repository.ts'

t.test('lookups of a group of repositories do not read the index of trigrams', async (t) => {
  const postgres = await startMigratedPostgres(t)
  if (postgres === undefined) return
  const db = connectPostgres(postgres.url)
  t.teardown(() => db.destroy())
  const indexes = await sql`select from pg_class where relname = 'all_repositories_trigrams'`.execute(db)
  if (indexes.rows.length === 0) return t.comment('this Postgres has no pg_trgm')
  await sql`
    insert into all_repositories (name) select 'team/app-' || number from generate_series(1, 2000) as number`.execute(
    db,
  )
  await sql`analyze all_repositories`.execute(db)
  const names = Array.from({ length: 16 }, (_, at) => `team/app-${at + 1}`)
  await db.transaction().execute(async (tx) => {
    const comparison = createComparisonRepository(tx)
    t.equal((await comparison.getStates(names)).states.size, names.length)
    t.equal((await comparison.findIncomplete(names)).incomplete.size, 0)
    await comparison.markReconciled(names)
    const { rows } = await sql`
      select pg_stat_get_xact_numscans('all_repositories_trigrams'::regclass)::integer as trigrams,
        pg_stat_get_xact_numscans('repositories_name_key'::regclass) > 0 as names`.execute(tx)
    t.same(rows, [{ trigrams: 0, names: true }])
  })
})
