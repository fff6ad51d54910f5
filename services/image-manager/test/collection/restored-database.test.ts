import { execFile } from 'node:child_process'
import { join } from 'node:path'
import { promisify } from 'node:util'
import { connectPostgres, migrateToLatest } from '@registry-manager/database'
import { findPostgres } from '@registry-manager/testing/postgres-binaries'
import { startPostgres } from '@registry-manager/testing/real-postgres'
import { sql } from 'kysely'
import type { Test } from 'tap'
import t from 'tap'
import { reviewBlobs } from '../../src/collection/review.ts'
import { endReconcile, rowsOf } from '../fixtures/collection.ts'
import { REPOSITORY, repositoriesOf } from '../fixtures/index-and-registry.ts'
import { createMemoryRegistry, digestOf } from '../fixtures/memory-registry.ts'

const run = promisify(execFile)
const HOLD = { limit: 100, holdSeconds: 60 }
const BLOB = digestOf(Buffer.from('blob'))
/** A Postgres whose database has one condemned blob. */
async function start(t: Test) {
  const found = findPostgres()
  const postgres = await startPostgres(t)
  if (postgres === undefined || 'reason' in found) return undefined
  const db = connectPostgres(postgres.url)
  t.teardown(() => db.destroy())
  await migrateToLatest(db)
  const ports = { registry: createMemoryRegistry(), ...repositoriesOf(db) }
  const review = () => reviewBlobs(ports, { graceSeconds: 0 })
  // This run began before every restore of the tests.
  await endReconcile(db, 0)
  await db.insertInto('released_digests').values({ digest: BLOB }).execute()
  t.equal(await review(), 1)
  const dump = join(t.testdir(), 'dump')
  const program = async (name: string, ...args: readonly string[]) => {
    const env = { ...process.env, ...found.env }
    await run(join(found.folder, name), [`--dbname=${postgres.url}`, ...args], { env })
  }
  return {
    ...ports,
    db,
    review,
    backUp: () => program('pg_dump', '--format=custom', `--file=${dump}`),
    restore: (...args: readonly string[]) => program('pg_restore', ...args, dump),
  }
}

t.test(
  'after pg_restore into the same database nothing is removed before the next reconcile run',
  async (t) => {
    t.setTimeout(120_000)
    const started = await start(t)
    if (started === undefined) return
    const { db, unreferenced, blobs, review, backUp, restore } = started
    await backUp()
    // A push of the blob. The restored database has forgotten it.
    t.equal(await blobs.announceBlob(REPOSITORY, BLOB), true)
    t.same(await rowsOf(db), [])
    await restore('--clean', '--if-exists')

    t.match(await rowsOf(db), [{ digest: BLOB, state: 'condemned' }])
    t.equal(await unreferenced.claim(HOLD), undefined)
    t.equal(await review(), 0)
    t.match(await rowsOf(db), [{ digest: BLOB, state: 'waiting' }])
    t.equal(await unreferenced.claim(HOLD), undefined)
    await db.deleteFrom('reconciliations').execute()
    await endReconcile(db)
    t.equal(await review(), 1)
    t.match(await unreferenced.claim(HOLD), { digests: [BLOB] })
  },
)

t.test('maintenance of a database does not count as a restore', async (t) => {
  t.setTimeout(120_000)
  const started = await start(t)
  if (started === undefined) return
  const { db, unreferenced, review, backUp } = started
  await backUp()
  await sql`vacuum (full, freeze)`.execute(db)
  await sql`cluster kysely_migration using kysely_migration_pkey`.execute(db)
  await sql`reindex table kysely_migration`.execute(db)
  await migrateToLatest(db)
  t.equal(await review(), 0)
  t.match(await unreferenced.claim(HOLD), { digests: [BLOB] })
})

t.test('a database that was set back to an earlier state is noticed by its transaction ids', async (t) => {
  t.setTimeout(120_000)
  const started = await start(t)
  if (started === undefined) return
  const { db, unreferenced, review } = started
  // This process has seen later transactions.
  const { unreferenced: before } = repositoriesOf(
    db.withPlugin({
      transformQuery: ({ node }) => node,
      transformResult: async ({ result }) => {
        const rows = result.rows.map((row) =>
          'next' in row ? { next: String(Number(row['next']) + 1000) } : row,
        )
        return { ...result, rows: isSetBack ? result.rows : rows }
      },
    }),
  )
  let isSetBack = false
  t.match(await before.beginReview(), { isReconciled: true })
  isSetBack = true
  t.equal(await before.claim(HOLD), undefined)
  t.match(await before.beginReview(), { isReconciled: false })
  t.match(await rowsOf(db), [{ digest: BLOB, state: 'waiting' }])
  await endReconcile(db)
  t.equal(await review(), 1)
  t.match(await unreferenced.claim(HOLD), { digests: [BLOB] })
})
