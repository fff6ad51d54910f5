import { randomUUID } from 'node:crypto'
import { sql } from 'kysely'
import t from 'tap'
import { SERVICE_CREDENTIAL } from '../fixtures/fake-auth-service.ts'
import { endReconcile, rowsOf } from '../fixtures/collection.ts'
import { startImageManager } from '../fixtures/image-manager.ts'
import { MANIFEST, REPOSITORY, blobsOf, databaseForTest, image } from '../fixtures/index-and-registry.ts'
import { until } from '@registry-manager/testing/until'

const db = await databaseForTest(t)
await endReconcile(db)
const { internalApp } = await startImageManager(t, db, undefined, {
  intervalSeconds: 1,
  graceSeconds: 0,
  unknown: 'report',
})

const post = (url: string, payload: object, authorization = `Bearer ${SERVICE_CREDENTIAL}`) =>
  internalApp.inject({ method: 'POST', url, payload, headers: { authorization } })
const claim = async () => (await post('/internal/collection/claims', { worker: 'w', limit: 1000 })).json()
const RAW = image('one')
const [BLOB = ''] = blobsOf(RAW)

t.test(
  'a worker claims data that nothing references, and pushes of this data wait until it is removed',
  async (t) => {
    t.same(
      await claim(),
      { id: null, digests: [], seconds: 60, blobsPerSecond: null },
      'there is nothing to remove',
    )
    await post('/internal/announced-blobs', { repository: REPOSITORY, digest: BLOB })
    await db.deleteFrom('repository_blobs').execute()
    let claimed: { readonly id: string | null; readonly digests: readonly string[] } = {
      id: null,
      digests: [],
    }
    await until(async () => {
      claimed = await claim()
      return claimed.id !== null
    })
    t.same(claimed.digests, [BLOB])
    t.same(
      await claim(),
      { id: null, digests: [], seconds: 60, blobsPerSecond: null },
      'another worker gets nothing',
    )

    const upload = post('/internal/announced-blobs', { repository: REPOSITORY, digest: BLOB })
    const query = new URLSearchParams({ repository: 'other/app', reference: 'v1', type: MANIFEST })
    const push = internalApp.inject({
      method: 'POST',
      url: `/internal/admissions?${query}`,
      headers: { authorization: `Bearer ${SERVICE_CREDENTIAL}`, 'content-type': 'application/octet-stream' },
      payload: RAW,
    })
    const results = { removed: [{ digest: BLOB, bytes: 10 }], failed: [] }
    const waits = [upload, push].map((response) => response.then(() => 'responded'))
    const pause = new Promise((resolve) => setTimeout(resolve, 300, 'waiting'))
    t.equal(await Promise.race([...waits, pause]), 'waiting')
    const url = `/internal/collection/claims/${claimed.id}/results`
    t.equal((await post(url, results)).statusCode, 204)
    t.equal((await post(url, results)).statusCode, 204, 'the same results again')
    t.equal((await upload).statusCode, 200)
    t.match((await push).json(), { outcome: 'admitted' })
    t.same(await rowsOf(db), [])
  },
)

t.test('a push gets 503 with Retry-After while a worker does not end its removal', async (t) => {
  await db.deleteFrom('pending_pushes').execute()
  await db
    .insertInto('unreferenced_blobs')
    .values({
      digest: BLOB,
      since: sql`now()`,
      state: 'removing',
      claim: randomUUID(),
      removing_until: sql`now() + interval '1 minute'`,
    })
    .execute()
  const refused = await post('/internal/announced-blobs', { repository: 'third/app', digest: BLOB })
  t.equal(refused.statusCode, 503)
  t.match(refused.headers, { 'retry-after': '10' })
  t.match(refused.json(), { detail: `the data of ${BLOB} is being removed; retry` })
  await db
    .updateTable('unreferenced_blobs')
    .set({ removing_until: sql`now()` })
    .execute()
  t.equal(
    (await post('/internal/announced-blobs', { repository: 'third/app', digest: BLOB })).statusCode,
    200,
  )
})

t.test('a request of a worker that is not valid is refused', async (t) => {
  const claims = '/internal/collection/claims'
  t.equal((await post(claims, { worker: 'w', limit: 1 }, 'Bearer wrong')).statusCode, 401)
  for (const [url, body, detail] of [
    [claims, { worker: 'w', limit: 1001 }, 'limit must be'],
    [claims, { worker: 'w', limit: 0 }, 'limit must be'],
    [claims, { limit: 1 }, 'worker is required'],
    [`${claims}/x/results`, { removed: [], failed: [] }, 'id must be'],
    [
      `${claims}/${randomUUID()}/results`,
      { removed: [{ digest: '../x', bytes: 1 }], failed: [] },
      'removed/0/digest must',
    ],
  ] as const) {
    const response = await post(url, body)
    t.equal(response.statusCode, 400)
    t.match(response.json().detail, new RegExp(detail.replaceAll('/', '.')), response.body)
  }
})
