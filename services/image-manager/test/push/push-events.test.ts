import { randomUUID } from 'node:crypto'
import type { RequestContext } from '@registry-manager/http'
import t from 'tap'
import { recordOrUndoPush } from '../../src/push/record-or-undo-push.ts'
import { createDatabaseReconciler } from '../../src/reconcile/index.ts'
import { BY_IMAGE_MANAGER, BY_JANE, JANE, eventsIn, senderOf, withoutEvents } from '../fixtures/events.ts'
import { startImageManager } from '../fixtures/image-manager.ts'
import {
  INDEX,
  MANIFEST,
  REPOSITORY,
  agePendingPushes,
  blobsOf,
  databaseForTest,
  image,
  repositoriesOf,
  startIndex,
} from '../fixtures/index-and-registry.ts'
import { digestOf, sha512Of } from '../fixtures/memory-registry.ts'
import { mortal } from '../fixtures/mortal.ts'

const db = await databaseForTest(t)
const { internalApp, registry } = await startImageManager(t, db)
const send = senderOf(internalApp)
const [ONE, TWO] = [image('one'), image('two')]
const [one, two] = [digestOf(ONE), digestOf(TWO)]

const announce = async (raw: Buffer, reference: string, context?: RequestContext, type = MANIFEST) => {
  const query = new URLSearchParams({ repository: REPOSITORY, reference, type })
  return (await send('POST', `/internal/admissions?${query}`, { payload: raw, context })).json()
}
const record = (id: string, context?: RequestContext) =>
  send('POST', `/internal/admissions/${id}/record`, { context })
/** A whole push, as registry-proxy does it. Returns the response to the record. */
const push = async (raw: Buffer, reference: string, context?: RequestContext) => {
  const { id } = await announce(raw, reference, context)
  registry.push(raw, MANIFEST, reference.includes(':') ? undefined : reference)
  return { id, response: await record(id, context) }
}
const listener = { taken: () => {}, progress: () => {}, failed: () => {} }
const { recover } = createDatabaseReconciler({ db, createRegistry: () => registry, concurrency: 1, listener })
const recoverAll = async () => {
  await agePendingPushes(db)
  return recover(new AbortController().signal)
}
/** A new request of jane. */
const again = () => ({ ...JANE, requestId: randomUUID() })

t.beforeEach(async () => {
  await startIndex(db)
  registry.manifests.clear()
  registry.tags.clear()
  // A push into a new repository is undone if its blobs are not there.
  for (const blob of [...blobsOf(ONE), ...blobsOf(TWO)]) registry.blobs.add(blob)
})

t.test('a push has an event with its principal, address and request id', async (t) => {
  t.equal((await push(ONE, 'v1')).response.statusCode, 200)
  t.match(await eventsIn(db), [
    {
      ...BY_JANE,
      action: 'push',
      outcome: 'done',
      repository: REPOSITORY,
      target: { kind: 'tag', repository: REPOSITORY, tag: 'v1', digest: one, name: `${REPOSITORY}:v1` },
      detail: { digest: one, mediaType: MANIFEST, size: ONE.length },
    },
  ])
})

t.test('a push by digest has the manifest as its target', async (t) => {
  await push(ONE, one)
  const target = { kind: 'manifest', repository: REPOSITORY, digest: one }
  t.match(await eventsIn(db), [{ ...BY_JANE, action: 'push', target }])
})

t.test(
  'a push that moves a tag has a second event with both digests; a repeated push has none',
  async (t) => {
    await push(ONE, 'v1')
    await push(TWO, 'v1', again())
    await push(TWO, 'v1', again())
    const events = await eventsIn(db)
    t.same(
      events.map(({ action, detail }) => [action, detail['digest'] ?? detail]),
      [
        ['push', one],
        ['push', two],
        ['tag.move', { from: one, to: two }],
        ['push', two],
      ],
    )
    t.match(events[2], { ...BY_JANE, request_id: events[1]?.request_id, target: { kind: 'tag', tag: 'v1' } })
  },
)

t.test('an outcome that is recorded twice has one event', async (t) => {
  const { id } = await push(ONE, 'v1')
  t.equal((await record(id)).statusCode, 404)
  t.equal((await eventsIn(db)).length, 1)
})

t.test('a request that nginx or the proxy repeats has one event', async (t) => {
  const lost = await announce(ONE, 'v1')
  await push(ONE, 'v1')
  await push(ONE, 'v1')
  t.equal((await eventsIn(db)).length, 1)
  t.equal((await record(lost.id)).statusCode, 200)
  t.equal((await eventsIn(db)).length, 1, 'also where the first attempt is recorded last')
  await push(ONE, 'v2')
  t.equal((await eventsIn(db)).length, 2, 'another tag of the same request has its own event')
})

t.test('a push that the registry refused has no event', async (t) => {
  const { id } = await announce(ONE, 'v1')
  t.match((await record(id)).json(), { digest: null })
  const refused = await announce(ONE, 'v1')
  await send('DELETE', `/internal/admissions/${refused.id}`)
  t.same(await eventsIn(db), [])
})

t.test('the event of a push that is recorded in the background names its principal', async (t) => {
  await announce(ONE, 'v1')
  registry.push(ONE, MANIFEST, 'v1')
  t.match(await recoverAll(), { pushesRecovered: 1 })
  t.match(await eventsIn(db), [{ ...BY_JANE, action: 'push', target: { tag: 'v1', digest: one } }])
  await recoverAll()
  t.equal((await eventsIn(db)).length, 1)
})

t.test('an abandoned push that never reached the registry has no event', async (t) => {
  await push(ONE, 'v1')
  await announce(ONE, 'v2', again())
  await announce(TWO, 'v1', again())
  t.match(await recoverAll(), { pushesRecovered: 2 })
  t.equal((await eventsIn(db)).length, 1)
})

t.test(
  'the event of a push that a previous version announced has the context of the request that records it',
  async (t) => {
    const { id } = await announce(ONE, 'v1')
    await db.updateTable('pending_pushes').set({ context: null }).execute()
    registry.push(ONE, MANIFEST, 'v1')
    await record(id)
    t.match(await eventsIn(db), [{ ...BY_JANE, action: 'push' }])
  },
)

t.test('a push whose event cannot be stored stays pending', async (t) => {
  const { id } = await announce(ONE, 'v1')
  registry.push(ONE, MANIFEST, 'v1')
  await withoutEvents(db, async () => t.equal((await record(id)).statusCode, 500))
  t.same(await eventsIn(db), [])
  t.equal((await record(id)).statusCode, 200, 'the push was still pending')
  t.equal((await eventsIn(db)).length, 1)
})

t.test('a push whose process is killed after any step has one event', async (t) => {
  for (let steps = 0, isAlive = false; !isAlive; steps++) {
    const started = await startIndex(db)
    const pending = await started.announce(ONE, 'v1')
    started.registry.push(ONE, MANIFEST, 'v1')
    const process = mortal(db, started.registry, steps)
    const ports = { ...repositoriesOf(process.db), registry: process.registry }
    await recordOrUndoPush(ports, pending).catch(() => undefined)
    isAlive = process.isAlive()
    const next = createDatabaseReconciler({
      db,
      createRegistry: () => started.registry,
      concurrency: 1,
      listener,
    })
    await agePendingPushes(db)
    await next.recover(new AbortController().signal)
    const actions = (await eventsIn(db)).map(({ action }) => action)
    t.same(actions, ['push'], `killed after step ${steps}`)
    if (isAlive) t.ok(steps > 4, `there were ${steps} steps`)
  }
})

t.test('the undoing of a push is a deletion by image-manager', async (t) => {
  const started = await startIndex(db)
  const pending = await started.announce(ONE, 'v1')
  started.registry.push(ONE, MANIFEST, 'v1')
  // The repository was deleted and created again since the announcement, and the blobs are gone.
  const renewed = { ...pending, announcedAt: new Date(0), staged: undefined }
  t.equal(await recordOrUndoPush(started.ports, renewed), undefined)
  t.match(await eventsIn(db), [
    { action: 'push' },
    {
      ...BY_IMAGE_MANAGER,
      action: 'manifest.delete',
      target: { digest: one },
      detail: { reason: 'the repository was deleted during the push' },
    },
    { ...BY_IMAGE_MANAGER, action: 'tag.delete', target: { tag: 'v1', digest: one } },
  ])
})

t.test('the push of an index-only manifest has its events', async (t) => {
  await push(ONE, one)
  const sha512 = sha512Of(ONE)
  const manifests = [{ mediaType: MANIFEST, digest: sha512, size: ONE.length }]
  const indexOnly = (text: string) =>
    Buffer.from(JSON.stringify({ schemaVersion: 2, mediaType: INDEX, manifests, annotations: { text } }))
  const [first, second] = [indexOnly('first'), indexOnly('second')]
  for (const [raw, reference] of [
    [first, digestOf(first)],
    [first, 'multi'],
    [second, 'multi'],
  ] as const)
    t.equal((await announce(raw, reference, again(), INDEX)).outcome, 'kept')
  const events = (await eventsIn(db)).slice(1)
  t.match(events, [
    { ...BY_JANE, request_id: /./, action: 'push', target: { kind: 'manifest', digest: digestOf(first) } },
    { ...BY_JANE, request_id: /./, action: 'push', target: { kind: 'tag', tag: 'multi' } },
    { action: 'push', detail: { digest: digestOf(second), mediaType: INDEX, size: second.length } },
    { action: 'tag.move', detail: { from: digestOf(first), to: digestOf(second) } },
  ])
  t.equal(events.length, 4)
})
