import { randomUUID } from 'node:crypto'
import type { RequestContext } from '@registry-manager/http'
import { sql } from 'kysely'
import type { Test } from 'tap'
import t from 'tap'
import { deleteRepository } from '../../src/delete/delete-repositories.ts'
import { createDatabaseReconciler } from '../../src/reconcile/index.ts'
import { BY_JANE, JANE, eventsIn, senderOf } from '../fixtures/events.ts'
import { startImageManager } from '../fixtures/image-manager.ts'
import {
  MANIFEST,
  REPOSITORY,
  blobsOf,
  databaseForTest,
  image,
  repositoriesOf,
  startIndex,
} from '../fixtures/index-and-registry.ts'
import { digestOf, killed } from '../fixtures/memory-registry.ts'

const [ONE, TWO] = [image('one'), image('two')]
const [one, two] = [digestOf(ONE), digestOf(TWO)]
const BOB: RequestContext = { ...JANE, principal: { kind: 'user', id: 'id-of-bob', name: 'bob' } }

const db = await databaseForTest(t)
const { internalApp, registry } = await startImageManager(t, db)
const send = senderOf(internalApp)

const by = (context: RequestContext) => ({ ...context, requestId: randomUUID() })
const push = async (raw: Buffer, reference: string, context: RequestContext) => {
  const query = new URLSearchParams({ repository: REPOSITORY, reference, type: MANIFEST })
  const announced = await send('POST', `/internal/admissions?${query}`, { payload: raw, context })
  registry.push(raw, MANIFEST, reference.includes(':') ? undefined : reference)
  await send('POST', `/internal/admissions/${announced.json().id}/record`, { context })
}
const deleteReference = (reference: string, context: RequestContext) =>
  send('DELETE', `/internal/manifests?${new URLSearchParams({ repository: REPOSITORY, reference })}`, {
    context,
  })
/** A deletion by jane that fails, because the registry is unavailable. */
const failToDelete = async (t: Test, reference: string) => {
  registry.before = () => killed()
  t.equal((await deleteReference(reference, JANE)).statusCode, 503)
  registry.before = () => undefined
}
const listener = { taken: () => {}, progress: () => {}, failed: () => {} }
const recoverAll = async () => {
  await sql`update requested_deletions set requested_at = requested_at - interval '10 minutes'`.execute(db)
  await sql`update events set time = time - interval '10 minutes'`.execute(db)
  const { recover } = createDatabaseReconciler({
    db,
    createRegistry: () => registry,
    concurrency: 1,
    listener,
  })
  await recover(new AbortController().signal)
  t.same(await db.selectFrom('requested_deletions').selectAll().execute(), [], 'no request is left')
}
/** The events about deletions, without those of the pushes before. */
const deletions = async () =>
  (await eventsIn(db))
    .filter(({ action }) => action.endsWith('.delete'))
    .map(({ action, principal_name: name }) => [action, name])

t.beforeEach(async () => {
  await startIndex(db)
  registry.manifests.clear()
  registry.tags.clear()
  for (const blob of [...blobsOf(ONE), ...blobsOf(TWO)]) registry.blobs.add(blob)
})

t.test('the deletion of a tag does not name an account whose own attempt failed before', async (t) => {
  await push(ONE, 'v1', by(JANE))
  await failToDelete(t, 'v1')
  await push(TWO, 'v1', by(BOB))
  t.same((await deleteReference('v1', by(BOB))).json(), { deleted: true })
  await recoverAll()
  t.same(await deletions(), [['tag.delete', 'bob']])
})

t.test('the deletion of a manifest does not name an account that failed to delete its tag', async (t) => {
  await push(ONE, 'v1', by(JANE))
  await failToDelete(t, 'v1')
  t.same((await deleteReference(one, by(BOB))).json(), { deleted: true })
  await recoverAll()
  t.same(await deletions(), [
    ['manifest.delete', 'bob'],
    ['tag.delete', 'bob'],
  ])
})

for (const reference of ['v1', one]) {
  t.test(`after its repository was deleted, a failed deletion has no event: ${reference}`, async (t) => {
    await push(ONE, 'v1', by(JANE))
    await failToDelete(t, reference)
    await deleteRepository({ registry, ...repositoriesOf(db) }, REPOSITORY)
    await recoverAll()
    t.same(await deletions(), [['repository.delete', 'image-manager']])
  })
}

t.test('a tag that is found gone has an event that says it is inferred, and from when', async (t) => {
  await push(ONE, 'v1', by(JANE))
  await failToDelete(t, 'v1')
  registry.tags.delete('v1')
  await recoverAll()
  const events = (await eventsIn(db)).slice(1)
  t.match(events, [
    { ...BY_JANE, action: 'tag.delete', detail: { inferred: true, requestedAt: /^\d{4}-.*Z$/ } },
  ])
  const [event] = events
  t.ok(Number(event?.time) - Date.parse(String(event?.detail['requestedAt'])) >= 600_000)
})

t.test('a tag that a push moves while its manifest is deleted is not reported as deleted', async (t) => {
  await push(ONE, 'v1', by(JANE))
  await push(ONE, 'v2', by(JANE))
  let isMoved = false
  registry.before = async (call) => {
    if (isMoved || !call.startsWith('DELETE')) return
    isMoved = true
    await push(TWO, 'v1', by(BOB))
  }
  t.same((await deleteReference(one, by(JANE))).json(), { deleted: true })
  registry.before = () => undefined
  t.equal(registry.tags.get('v1'), two)
  t.match(
    (await eventsIn(db)).filter(({ action }) => action === 'tag.delete'),
    [{ target: { tag: 'v2' } }],
  )
  t.equal((await deletions()).length, 2)
})
