import { randomUUID } from 'node:crypto'
import type { RequestContext } from '@registry-manager/http'
import { sql } from 'kysely'
import t from 'tap'
import { onBothDatabases } from '@registry-manager/testing/both-databases'
import { createDeletion } from '../../src/delete/index.ts'
import { createDatabaseReconciler } from '../../src/reconcile/index.ts'
import { BY_JANE, JANE, eventsIn, senderOf, withoutEvents } from '../fixtures/events.ts'
import { startImageManager } from '../fixtures/image-manager.ts'
import {
  MANIFEST,
  REPOSITORY,
  blobsOf,
  databaseForTest,
  image,
  indexOf,
  repositoriesOf,
  startIndex,
} from '../fixtures/index-and-registry.ts'
import type { MemoryRegistry } from '../fixtures/memory-registry.ts'
import { digestOf, killed } from '../fixtures/memory-registry.ts'
import { mortal } from '../fixtures/mortal.ts'
import { parsed } from '../fixtures/reconcile.ts'

const ONE = image('one')
const one = digestOf(ONE)
const [config = ''] = blobsOf(ONE)

const db = await databaseForTest(t)
const { internalApp, registry, ask } = await startImageManager(t, db)
const send = senderOf(internalApp)
const { manifests, tags } = repositoriesOf(db)

const fill = async (into: MemoryRegistry, ...names: readonly string[]) => {
  await manifests.putManifest(REPOSITORY, parsed(ONE))
  into.push(ONE, MANIFEST)
  for (const name of names) {
    into.push(ONE, MANIFEST, name)
    await tags.setTag(REPOSITORY, name, one, undefined)
  }
  for (const blob of blobsOf(ONE)) into.blobs.add(blob)
}
const deleteReference = (reference: string, context: RequestContext = { ...JANE, requestId: randomUUID() }) =>
  send('DELETE', `/internal/manifests?${new URLSearchParams({ repository: REPOSITORY, reference })}`, {
    context,
  })
const deleteBlob = (digest: string) =>
  send('DELETE', `/internal/blobs?${new URLSearchParams({ repository: REPOSITORY, digest })}`)

const listener = { taken: () => {}, progress: () => {}, failed: () => {} }
const recoverAll = async (behind: MemoryRegistry = registry) => {
  const OLD = sql<Date>`now() - interval '10 minutes'`
  await db.updateTable('requested_deletions').set({ requested_at: OLD }).execute()
  await db
    .updateTable('repositories')
    .set({ deleting_since: OLD })
    .where('deleting_since', 'is not', null)
    .execute()
  const { recover } = createDatabaseReconciler({ db, createRegistry: () => behind, concurrency: 1, listener })
  await recover(new AbortController().signal)
}
const requests = () => db.selectFrom('requested_deletions').selectAll().execute()

t.beforeEach(async () => {
  await startIndex(db)
  registry.before = () => undefined
  registry.after = () => undefined
  registry.manifests.clear()
  registry.tags.clear()
  registry.blobs.clear()
})

t.test(
  'the deletion of a tag has one event, which names the digest; a repeat finds no tag and has none',
  async (t) => {
    await fill(registry, 'v1', 'v2')
    t.same((await deleteReference('v1', JANE)).json(), { deleted: true })
    t.same((await deleteReference('v1')).json(), { deleted: false })
    const events = await eventsIn(db)
    const target = { kind: 'tag', repository: REPOSITORY, tag: 'v1', digest: one, name: `${REPOSITORY}:v1` }
    t.match(events, [{ ...BY_JANE, action: 'tag.delete', outcome: 'done', repository: REPOSITORY, target }])
    t.equal(events.length, 1)
    t.same(await requests(), [])
  },
)

t.test('the deletion of a manifest has an event, and one for each of its tags', async (t) => {
  await fill(registry, 'v1', 'v2')
  t.same((await deleteReference(one, JANE)).json(), { deleted: true })
  const events = await eventsIn(db)
  const detail = { with: 'manifest' }
  t.match(events, [
    { ...BY_JANE, action: 'manifest.delete', target: { kind: 'manifest', digest: one } },
    { ...BY_JANE, action: 'tag.delete', target: { kind: 'tag', tag: 'v1', digest: one }, detail },
    { ...BY_JANE, action: 'tag.delete', target: { kind: 'tag', tag: 'v2', digest: one }, detail },
  ])
  t.equal(events.length, 3)
})

t.test('the refused deletion of a manifest that an image index needs has no event', async (t) => {
  await fill(registry)
  await manifests.putManifest(REPOSITORY, parsed(indexOf(ONE), 'application/vnd.oci.image.index.v1+json'))
  t.match((await deleteReference(one)).json(), { deleted: false, inUseBy: {} })
  t.same(await eventsIn(db), [])
  t.same(await requests(), [])
})

t.test('the deletion of a blob has an event', async (t) => {
  await fill(registry)
  t.same((await deleteBlob(config)).json(), { deleted: true })
  t.same((await deleteBlob(config)).json(), { deleted: false })
  const events = await eventsIn(db)
  t.match(events, [{ ...BY_JANE, action: 'blob.delete', target: { kind: 'blob', digest: config } }])
  t.equal(events.length, 1)
})

t.test('the deletion of a tag that only the registry has, has an event', async (t) => {
  registry.push(ONE, MANIFEST, 'past-us')
  t.same((await deleteReference('past-us')).json(), { deleted: true })
  t.match(await eventsIn(db), [{ action: 'tag.delete', target: { tag: 'past-us' } }])
})

t.test('the event of a deletion that could not be recorded is recorded later, once', async (t) => {
  await fill(registry, 'v1')
  await withoutEvents(db, async () => t.equal((await deleteReference('v1', JANE)).statusCode, 500))
  t.same(await eventsIn(db), [])
  for (let runs = 0; runs < 2; runs++) {
    await recoverAll()
    const events = await eventsIn(db)
    t.match(events, [{ ...BY_JANE, action: 'tag.delete', target: { tag: 'v1', digest: one } }])
    t.equal(events.length, 1)
  }
  t.same(await requests(), [])
})

t.test('a deletion that did not happen has no event', async (t) => {
  await fill(registry, 'v1')
  registry.before = (call) => (call.startsWith('PUT') ? killed() : undefined)
  t.equal((await deleteReference('v1')).statusCode, 503)
  registry.before = () => undefined
  await recoverAll()
  t.same(await eventsIn(db), [])
  t.same(await requests(), [])
})

type Deletion = ReturnType<typeof createDeletion>
const DELETIONS = {
  'tag.delete': ({ deleteTag }: Deletion) => deleteTag(REPOSITORY, 'v1'),
  'manifest.delete': ({ deleteManifest }: Deletion) => deleteManifest(REPOSITORY, one),
  'blob.delete': ({ deleteBlob }: Deletion) => deleteBlob(REPOSITORY, config),
  'repository.delete': ({ deleteRepository }: Deletion) => deleteRepository(REPOSITORY),
}
const isThere = {
  'tag.delete': ({ tags }: MemoryRegistry) => tags.has('v1'),
  'manifest.delete': ({ manifests }: MemoryRegistry) => manifests.has(one),
  'blob.delete': ({ blobs }: MemoryRegistry) => blobs.has(config),
  'repository.delete': ({ manifests }: MemoryRegistry) => manifests.has(one),
}

for (const action of Object.keys(DELETIONS) as (keyof typeof DELETIONS)[]) {
  for (const repeats of [false, true]) {
    const repeated = repeats ? ' and is repeated' : ''
    t.test(`a ${action} that is killed after any step${repeated} has one event if it happened`, async (t) => {
      let steps = 0
      for (let isAlive = false; !isAlive; steps++) {
        const started = await startIndex(db)
        await fill(started.registry, 'v1')
        const process = mortal(db, started.registry, steps)
        const ports = { ...repositoriesOf(process.db), registry: process.registry }
        await DELETIONS[action](createDeletion(ports, 0)).catch(() => undefined)
        isAlive = process.isAlive()
        if (repeats) await DELETIONS[action](createDeletion(started.ports, 0))
        await recoverAll(started.registry)
        const happened = !isThere[action](started.registry)
        const events = (await eventsIn(db)).filter((event) => event.action === action)
        t.equal(events.length, happened ? 1 : 0, `killed after step ${steps}; it happened: ${happened}`)
        if (repeats || isAlive) t.ok(happened)
        t.same(await requests(), [], 'no request is left')
      }
      t.ok(steps > 4, `there were ${steps} steps`)
    })
  }
}

t.test('the event of a deleted repository names its first requester, however it ends', async (t) => {
  await fill(registry, 'v1')
  registry.before = (call) => (call.startsWith('DELETE') ? killed() : undefined)
  t.equal((await ask('/team/app', { as: 'alice', method: 'DELETE' })).statusCode, 503)
  t.equal((await ask('/team/app', { as: 'olga', method: 'DELETE' })).statusCode, 503)
  registry.before = () => undefined
  await recoverAll()
  const events = await eventsIn(db)
  const target = { kind: 'repository', repository: REPOSITORY, name: REPOSITORY }
  const byAlice = {
    principal_kind: 'user',
    principal_id: 'alice',
    principal_name: 'alice',
    address: '127.0.0.1',
  }
  t.match(events, [{ ...byAlice, request_id: /^[0-9a-f-]{36}$/, action: 'repository.delete', target }])
  t.equal(events.length, 1)

  await fill(registry, 'v1')
  t.equal((await ask('/team/app', { as: 'olga', method: 'DELETE' })).statusCode, 200)
  t.match((await eventsIn(db)).slice(1), [
    { principal_name: 'olga', action: 'repository.delete', detail: { manifests: 1 } },
  ])
})

await onBothDatabases(t, async (t, db) => {
  const { requestedDeletions, manifests, tags } = repositoriesOf(db)

  t.test('a stored request for a deletion has the facts that the index knows of its target', async (t) => {
    await manifests.putManifest(REPOSITORY, parsed(ONE))
    for (const name of ['b', 'a']) await tags.setTag(REPOSITORY, name, one, undefined)
    const { sha512 } = (await manifests.resolveDigest(REPOSITORY, one)) ?? { sha512: '' }
    const stored = async (target: Parameters<typeof requestedDeletions.begin>[0]) => {
      const id = await requestedDeletions.begin(target)
      t.same(await requestedDeletions.findTarget(id), (await requests())[0]?.target)
      const seen: unknown[] = []
      await requestedDeletions.end(id, ({ target, existed, tags }) => {
        seen.push({ digest: target.digest, existed, tags })
        return []
      })
      await requestedDeletions.end(id, () => {
        throw new Error('it has ended')
      })
      return seen
    }
    const requests = () => db.selectFrom('requested_deletions').select('target').execute()
    const repository = REPOSITORY
    const byEither = [{ digest: one, existed: true, tags: ['a', 'b'] }]
    t.same(await stored({ kind: 'manifest', repository, digest: one }), byEither)
    t.same(await stored({ kind: 'manifest', repository, digest: sha512 }), byEither)
    t.same(await stored({ kind: 'tag', repository, tag: 'a' }), [{ digest: one, existed: true, tags: [] }])
    t.same(await stored({ kind: 'tag', repository, tag: 'z' }), [
      { digest: undefined, existed: false, tags: [] },
    ])
    t.same(await stored({ kind: 'blob', repository, digest: config }), [
      { digest: config, existed: true, tags: [] },
    ])
    t.same(await stored({ kind: 'blob', repository, digest: one }), [
      { digest: one, existed: false, tags: [] },
    ])
  })

  t.test('only requests that are old enough are abandoned, in the order of their ids', async (t) => {
    const begin = (tag: string) => requestedDeletions.begin({ kind: 'tag', repository: REPOSITORY, tag })
    const ids = [await begin('a'), await begin('b')].toSorted()
    const list = (seconds: number, after = '', limit = 10) =>
      requestedDeletions.listAbandoned(seconds, { after, limit })
    t.same(await list(60), [])
    t.same(await list(0), ids)
    t.same(await list(0, ids[0], 1), ids.slice(1))
  })
})
