import { connectPostgres, migrateToLatest } from '@registry-manager/database'
import { startPostgres } from '@registry-manager/testing/real-postgres'
import { sql } from 'kysely'
import t from 'tap'
import { ONE, TWO, collects, pushes, startStorage } from '../fixtures/collection-actors.ts'
import { REPOSITORY } from '../fixtures/index-and-registry.ts'
import { atOnce, movesRepositoryToTrash, movesToTrash, trashUses } from '../fixtures/trash-actors.ts'

/* PGlite runs one transaction at a time, so the tests of interleavings find no deadlock. */

const [WORKERS, ROUNDS] = [8, 60]

t.test(
  'pushes, moves to the trash, restores, purges and collections do not deadlock in Postgres',
  async (t) => {
    const postgres = await startPostgres(t)
    if (postgres === undefined) return
    const db = connectPostgres(postgres.url)
    t.teardown(() => db.destroy())
    await migrateToLatest(db)
    const started = await startStorage(db)
    const anyEntry = async () => {
      const { rows } = await sql<{ id: string }>`select id from trash order by random() limit 1`.execute(db)
      return rows[0]?.id ?? '00000000-0000-4000-8000-000000000003'
    }
    const ways = [
      () => pushes(ONE, REPOSITORY, 'upload')(started, atOnce),
      () => movesToTrash(started, atOnce),
      () => pushes(TWO, REPOSITORY, 'upload')(started, atOnce),
      async () => trashUses(started, atOnce).restore(undefined, await anyEntry()),
      async () => trashUses(started, atOnce).purge(undefined, await anyEntry()),
      () => collects(started, atOnce),
      () => movesRepositoryToTrash(started, atOnce),
    ]
    const failures: string[] = []
    const runs = Array.from({ length: WORKERS }, async (_, worker) => {
      for (let round = 0; round < ROUNDS; round += 1) {
        const way = ways[(worker * 3 + round * (1 + worker)) % ways.length]
        await way?.().catch((error: Error & { statusCode?: number; status?: number }) => {
          // Data is being removed at this moment: a client retries.
          if ((error.statusCode ?? error.status) !== 503) failures.push(String(error))
        })
      }
    })
    await Promise.all(runs)
    t.same(failures, [], `none of ${WORKERS * ROUNDS} operations fails`)
    const { rows } = await sql<{ deadlocks: string }>`
      select deadlocks from pg_stat_database where datname = current_database()`.execute(db)
    t.same(rows, [{ deadlocks: '0' }], 'no transactions waited for each other')
  },
)
