import type { Test } from 'tap'
import type { Database } from '../../database/src/connect.ts'
import { connectPostgres } from '../../database/src/connect.ts'
import { pgliteForTest } from './pglite.ts'
import { startMigratedPostgres } from './real-postgres.ts'

/** Runs the same tests on PGlite and on a real Postgres, each with an empty schema. */
export async function onBothDatabases(
  t: Test,
  run: (t: Test, db: Database) => Promise<unknown>,
): Promise<void> {
  await t.test('on PGlite', async (t) => run(t, await pgliteForTest(t)))
  await t.test('on a real Postgres', async (t) => {
    const postgres = await startMigratedPostgres(t)
    if (postgres === undefined) return
    const db = connectPostgres(postgres.url)
    t.teardown(() => db.destroy())
    await run(t, db)
  })
}
