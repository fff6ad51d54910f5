import { sql } from 'kysely'
import t from 'tap'
import { describeStuck, stateOf } from '../../src/collection/status.ts'
import { endReconcile } from '../fixtures/collection.ts'
import { startImageManager } from '../fixtures/image-manager.ts'
import { databaseForTest } from '../fixtures/index-and-registry.ts'
import { digestOf } from '../fixtures/memory-registry.ts'
import { until } from '@registry-manager/testing/until'

const db = await databaseForTest(t)
const { askFor, askInternal, token, personalToken } = await startImageManager(t, db, undefined, {
  intervalSeconds: 1,
  graceSeconds: 3600,
  unknown: 'report',
})
const blob = (text: string) => digestOf(Buffer.from(text))
const URL = '/storage/collection'
const put = (body: unknown, as: 'root' | 'olga' = 'root') =>
  askFor(URL, {
    method: 'PUT',
    as,
    payload: JSON.stringify(body),
    headers: { 'content-type': 'application/json' },
  })

t.test('a cluster administrator sees, pauses and slows down the collection', async (t) => {
  const status = await askFor(URL, { as: 'root' })
  t.equal(status.statusCode, 200, status.body)
  t.match(status.json(), { state: 'waiting-for-reconcile', waiting: 0, listing: null })
  await endReconcile(db)
  await until(async () => (await askFor(URL, { as: 'root' })).json().state === 'running')
  t.match((await put({ paused: true, blobsPerSecond: 12.5 })).json(), {
    state: 'paused',
    paused: true,
    blobsPerSecond: 12.5,
  })
  await put({ paused: true, blobsPerSecond: 12.5 })
  t.match((await put({})).json(), { state: 'running', paused: false, blobsPerSecond: null })
  const { rows } = await sql`
    select principal_name as principal, target ->> 'kind' as target, detail from events
    where action = 'collection.update' order by id`.execute(db)
  t.match(rows, [
    { principal: 'root', target: 'storage', detail: { paused: { from: false, to: true } } },
    { detail: { paused: { to: false }, blobsPerSecond: { from: 12.5, to: null } } },
  ])
  t.equal(rows.length, 2, 'the same settings again are no change')
})

t.test(
  'the status of the collection has counts, failures and the last listing, and unknown blobs in pages',
  async (t) => {
    await db
      .insertInto('unreferenced_blobs')
      .values([
        { digest: blob('waiting'), since: sql`now()`, state: 'waiting' },
        { digest: blob('failing'), since: new Date(0), state: 'condemned', reason: 'read-only', failures: 3 },
      ])
      .execute()
    const { id } = await db
      .insertInto('collection_listings')
      .values({ worker: 'w', leased_until: sql`now()`, ended_at: sql`now()` })
      .returning('id')
      .executeTakeFirstOrThrow()
    await sql`
    update collection_listings set stored_blobs = 5, stored_bytes = 9007199254740993, unknown_blobs = 3, uploads = 1`.execute(
      db,
    )
    const digests = ['a', 'b', 'c'].map(blob).toSorted()
    for (const digest of digests)
      await db
        .insertInto('unknown_blobs')
        .values({ digest, bytes: 7, modified_at: new Date(0), listing: id, listings: 1 })
        .execute()
    const status = (await askFor(URL, { as: 'root' })).json()
    t.match(status, {
      waiting: 1,
      condemned: 1,
      oldestCondemned: '1970-01-01T00:00:00.000Z',
      failing: [{ digest: blob('failing'), reason: 'read-only', failures: 3 }],
      listing: {
        stored: { blobs: 5, bytes: 9007199254740992 },
        unknown: { blobs: 3 },
        uploads: { count: 1 },
      },
    })
    const first = (await askFor(`${URL}/unknown?limit=2`, { as: 'root' })).json()
    t.same(
      first.items.map(({ digest }: { digest: string }) => digest),
      digests.slice(0, 2),
    )
    const second = (await askFor(`${URL}/unknown?limit=2&after=${first.next}`, { as: 'root' })).json()
    t.same(second, {
      items: [{ digest: digests[2], bytes: 7, modifiedAt: '1970-01-01T00:00:00.000Z' }],
      next: null,
    })
    const metrics = await until(async () => {
      const { body } = await askInternal('/metrics')
      return body.includes('collection_blobs{state="condemned",service="image-manager"} 1')
    })
    t.equal(metrics, undefined)
    t.match((await askInternal('/readyz')).json(), {
      status: 'ok',
      parts: { collection: { status: 'degraded', reason: /check the storage worker/ } },
    })
  },
)

t.test('only cluster administrators with all rights of their account see the collection', async (t) => {
  t.equal((await put({ paused: true }, 'olga')).statusCode, 403)
  const limited = [
    { as: 'olga' as const },
    { as: 'alice' as const },
    { as: 'every-robot' as const },
    { bearer: token('root', [{ type: 'repository', name: 'team/app', actions: ['push'] }]) },
    { bearer: personalToken('root', null) },
  ]
  for (const who of limited)
    for (const url of [URL, `${URL}/unknown`]) t.equal((await askFor(url, who)).statusCode, 403)
  t.equal((await askFor(URL)).statusCode, 401)
  t.equal((await askFor(URL, { bearer: token('root', null) })).statusCode, 200, 'an identity token')
})

t.test('settings and pages that are not valid are refused', async (t) => {
  for (const body of [{ paused: 'yes' }, { blobsPerSecond: 0 }, { blobsPerSecond: -1 }, { speed: 1 }, []]) {
    const response = await put(body)
    t.equal(response.statusCode, 400, response.body)
  }
  for (const query of ['limit=0', 'limit=1001', 'after=x'])
    t.equal((await askFor(`${URL}/unknown?${query}`, { as: 'root' })).statusCode, 400, query)
})

t.test(
  'the collection is stuck if condemned data is not removed for an hour, and not otherwise',
  async (t) => {
    const now = 10_000_000
    const ago = (seconds: number) => new Date(now - seconds * 1000)
    const options = { intervalSeconds: 60, graceSeconds: 100 }
    const stuck = { paused: false, isReconciled: true, oldestCondemned: ago(3800), lastRemovedAt: ago(3700) }
    t.match(describeStuck(stuck, options, now), /storage worker/)
    t.match(describeStuck({ ...stuck, lastRemovedAt: null }, options, now), /storage worker/)
    for (const progress of [
      { ...stuck, paused: true },
      { ...stuck, isReconciled: false },
      { ...stuck, oldestCondemned: null },
      { ...stuck, oldestCondemned: ago(3650) },
      { ...stuck, lastRemovedAt: ago(10) },
    ])
      t.equal(describeStuck(progress, options, now), undefined)
    t.equal(describeStuck(stuck, { ...options, intervalSeconds: 0 }, now), undefined)
    t.equal(stateOf(stuck, { intervalSeconds: 0 }), 'off')
  },
)
