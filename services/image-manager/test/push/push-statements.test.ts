import { randomBytes } from 'node:crypto'
import { connectPostgres } from '@registry-manager/database'
import { startMigratedPostgres } from '@registry-manager/testing/real-postgres'
import { sql } from 'kysely'
import type { Test } from 'tap'
import t from 'tap'
import { createPush } from '../../src/push/index.ts'
import { MANIFEST, REPOSITORY, blobsOf, image, startIndex } from '../fixtures/index-and-registry.ts'
import { digestOf } from '../fixtures/memory-registry.ts'

/** The limits of the cost of a push, with its events and the lookup of rules for immutable tags. */
const MAX_STATEMENTS = 10

/** A Postgres that counts the statements of the service, and the bytes that they write to the log. */
async function start(t: Test) {
  const settings = ['shared_preload_libraries=pg_stat_statements', 'pg_stat_statements.track_utility=on']
  const postgres = await startMigratedPostgres(t, settings)
  if (postgres === undefined) return undefined
  const [db, watcher] = [connectPostgres(postgres.url), connectPostgres(postgres.url)]
  t.teardown(() => Promise.all([db.destroy(), watcher.destroy()]))
  await sql`create extension pg_stat_statements`.execute(watcher)
  const started = await startIndex(db)
  const { registry } = started
  const push = createPush({ ...started.ports })
  return {
    ...started,
    /** Pushes as the proxy does. Returns what that cost. */
    async push(raw: Buffer, reference: { tag: string } | { digest: string }) {
      for (const digest of blobsOf(raw)) registry.blobs.add(digest)
      registry.calls.splice(0)
      await sql`select pg_stat_statements_reset()`.execute(watcher)
      const announced = await push.announce({ repository: REPOSITORY, reference, type: MANIFEST, raw })
      if (announced.outcome !== 'announced') throw new Error(`the push was ${announced.outcome}`)
      registry.push(raw, MANIFEST, 'tag' in reference ? reference.tag : undefined)
      await push.record(announced.id)
      const { rows } = await sql<{ query: string; calls: number; bytes: number }>`
        select query, calls::integer, wal_bytes::integer as bytes from pg_stat_statements
        where query not like '%pg_stat_statements%'`.execute(watcher)
      return {
        queries: rows.map(({ query, calls }) => `${calls} × ${query.replaceAll(/\s+/g, ' ').slice(0, 90)}`),
        statements: rows.reduce((sum, { calls }) => sum + calls, 0),
        loggedBytes: rows.reduce((sum, { bytes }) => sum + bytes, 0),
        requests: [...registry.calls],
      }
    },
  }
}

t.test('a push into a known repository costs few statements, counted by the database', async (t) => {
  const started = await start(t)
  if (started === undefined) return
  const { push, tags, manifests, pendingRows } = started
  const first = await push(image('first'), { tag: 'v1' })
  t.ok(first.statements <= MAX_STATEMENTS, `the first push costs ${first.statements} statements`)

  const [NEW, MOVED, BY_DIGEST] = [image('new'), image('moved'), image('by digest')]
  const costs = {
    'a new tag': await push(NEW, { tag: 'v2' }),
    'a tag that moves': await push(MOVED, { tag: 'v1' }),
    'a repeated push': await push(MOVED, { tag: 'v1' }),
    'a known manifest by another tag': await push(MOVED, { tag: 'v3' }),
    'a push by digest': await push(BY_DIGEST, { digest: digestOf(BY_DIGEST) }),
  }
  for (const [what, { statements, queries, requests }] of Object.entries(costs)) {
    t.ok(statements <= MAX_STATEMENTS, `${what} costs ${statements} statements`)
    t.ok(statements >= 6, queries.join('\n'))
    t.equal(requests.length, 1, `${what} costs one request`)
    t.match(requests[0], /^HEAD manifest /)
  }
  t.same(Object.keys(await tags()), ['v1', 'v2', 'v3'])
  t.equal((await manifests()).length, 4)
  t.same(await pendingRows(), [])
})

t.test('the bytes of a manifest are written once', async (t) => {
  const started = await start(t)
  if (started === undefined) return
  const { push } = started
  await push(image('first'), { tag: 'v1' })
  // Postgres cannot compress random text, so its log shows how often the bytes were written.
  const filling = randomBytes(1_500_000).toString('base64')
  const raw = Buffer.from(JSON.stringify({ ...JSON.parse(image('large').toString()), filling }))
  const { loggedBytes } = await push(raw, { tag: 'v2' })
  t.ok(loggedBytes > raw.length, `${loggedBytes} bytes for ${raw.length}`)
  t.ok(loggedBytes < 1.2 * raw.length, `${loggedBytes} bytes for ${raw.length}`)
  const repeated = await push(raw, { tag: 'v3' })
  t.ok(repeated.loggedBytes < 0.1 * raw.length, `${repeated.loggedBytes} bytes when it is pushed again`)
})
