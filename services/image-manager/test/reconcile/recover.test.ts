import { ServiceCallError } from '@registry-manager/http'
import { sql } from 'kysely'
import t from 'tap'
import { onBothDatabases } from '@registry-manager/testing/both-databases'
import { finishDeletion } from '../../src/delete/delete-repositories.ts'
import type { ItemFailure } from '../../src/reconcile/work-item.ts'
import { createDatabaseReconciler } from '../../src/reconcile/index.ts'
import { MANIFEST, REPOSITORY, blobsOf, image } from '../fixtures/index-and-registry.ts'
import { digestOf } from '../fixtures/memory-registry.ts'
import { reachableIn, refused, startReconcile } from '../fixtures/reconcile.ts'

const [ONE, TWO] = [image('one'), image('two')]
const [one, two] = [digestOf(ONE), digestOf(TWO)]

await onBothDatabases(t, async (t, db) => {
  const start = async () => {
    const started = await startReconcile(db)
    const { registry, heard } = started
    const listener = {
      taken: () => {},
      progress: () => {},
      failed: ({ repository, reference }: ItemFailure) =>
        void heard.failed.push(`${repository} ${reference}`),
    }
    const { recover } = createDatabaseReconciler({
      db,
      createRegistry: () => registry,
      concurrency: 1,
      listener,
    })
    return { ...started, recover: () => recover(new AbortController().signal) }
  }
  const begin = async ({ deletions }: Awaited<ReturnType<typeof start>>['index']) => {
    const begun = await deletions.beginDeletion(REPOSITORY)
    return begun !== undefined && 'id' in begun ? begun.id : ''
  }
  const ageDeletions = (seconds: number) =>
    db
      .updateTable('repositories')
      .set({ deleting_since: sql`now() - make_interval(secs => ${seconds})` })
      .where('deleting_since', 'is not', null)
      .execute()

  const makeDue = () =>
    db
      .updateTable('background_failures')
      .set({ retry_at: sql`now()` })
      .execute()

  t.test('recover records a push that reached the registry, with its tag', async (t) => {
    const { registry, announce, recover, contents, pendingPushes, agePendingPushes } = await start()
    await announce(ONE, 'latest')
    registry.push(ONE, MANIFEST, 'latest')
    await announce(TWO, null)
    registry.push(TWO, MANIFEST)
    t.match(await recover(), { pushesRecovered: 0 }, 'not while its process may be alive')
    t.equal(await pendingPushes(), 2)
    await agePendingPushes(100)
    t.match(await recover(), { pushesRecovered: 2, registryRequests: 2 })
    t.same(await contents(), { [REPOSITORY]: { tags: { latest: one }, manifests: [one, two].toSorted() } })
    t.equal(await pendingPushes(), 0)
    t.match(await recover(), { pushesRecovered: 0, registryRequests: 0 }, 'a repeat has nothing to do')
  })

  t.test(
    'recover removes a pending push that never reached the registry, and no reader sees its repository',
    async (t) => {
      const { registry, announce, recover, contents, pendingPushes, index, agePendingPushes } = await start()
      await announce(ONE, 'latest')
      await announce(TWO, null)
      await agePendingPushes(100)
      registry.after = async () => t.equal(await index.repositories.findRepository(REPOSITORY), undefined)
      t.match(await recover(), { pushesRecovered: 2 })
      t.same(await contents(), {})
      t.equal(await pendingPushes(), 0)
    },
  )

  t.test('recover of an overtaken push sets the tag to the digest in the registry', async (t) => {
    const { registry, announce, recover, contents, agePendingPushes } = await start()
    await announce(ONE, 'latest')
    registry.push(TWO, MANIFEST, 'latest')
    await agePendingPushes(100)
    await recover()
    t.same(await contents(), reachableIn(registry))
  })

  t.test(
    'an unrecordable push is reported and removed; a push whose manifest the registry refuses is retried',
    async (t) => {
      const { registry, announce, recover, pendingPushes, heard, agePendingPushes } = await start()
      for (const tag of ['malformed', 'refused', 'good']) await announce(ONE, tag)
      registry.push(Buffer.from('no JSON'), MANIFEST, 'malformed')
      registry.push(ONE, MANIFEST, 'good')
      registry.before = (call) => (call.endsWith(' refused') ? refused() : undefined)
      await agePendingPushes(100)
      t.match(await recover(), { pushesRecovered: 2, failures: 2 })
      t.equal(await pendingPushes(), 1)
      t.same(heard.failed.toSorted(), [`${REPOSITORY} malformed`, `${REPOSITORY} refused`])
      registry.before = () => undefined
      t.match(await recover(), { pushesRecovered: 0, failures: 0 }, 'not before its retry is due')
      await makeDue()
      t.match(await recover(), { pushesRecovered: 1, failures: 0 })
    },
  )

  t.test('a step that succeeds again has no failure, which would delay the garbage collection', async (t) => {
    const { recover } = await start()
    const failure = { item: 'fill-sizes', repository: '', reference: '', reason: 'failed' }
    await db
      .insertInto('background_failures')
      .values({ ...failure, kind: 'manifest', retry_at: sql<Date>`now()` })
      .execute()
    t.match(await recover(), { failures: 0 })
    t.same(await db.selectFrom('background_failures').selectAll().execute(), [])
  })

  t.test('an unavailable registry leaves all pending pushes', async (t) => {
    const { registry, announce, recover, pendingPushes, agePendingPushes } = await start()
    for (const tag of ['a', 'b']) await announce(ONE, tag)
    await agePendingPushes(100)
    registry.before = () => {
      throw new ServiceCallError('unavailable', { dependency: 'registry' })
    }
    await t.rejects(recover(), { message: 'unavailable' })
    t.equal(await pendingPushes(), 2)
  })

  t.test('one call recovers more than a page of pending pushes', async (t) => {
    const { recover, pendingPushes, agePendingPushes } = await start()
    const repository = REPOSITORY
    const raw = Buffer.from('{}')
    const row = { repository, digest: digestOf(raw), tag: null, media_type: MANIFEST, raw }
    const rows = Array.from({ length: 510 }, () => row)
    await db.insertInto('pending_pushes').values(rows).execute()
    await agePendingPushes(100)
    t.match(await recover(), { pushesRecovered: 510 })
    t.equal(await pendingPushes(), 0)
  })

  t.test('an interrupted deletion is finished once no process renews it', async (t) => {
    const { registry, run, recover, index, contents } = await start()
    for (const name of ['half/deleted', 'stays/here']) registry.push(ONE, MANIFEST, 'v1', name)
    const { blobs, manifests } = registry.repositories.get('half/deleted') ?? registry
    for (const digest of blobsOf(ONE)) blobs.add(digest)
    await run()
    await index.deletions.beginDeletion('half/deleted')
    await ageDeletions(60)
    t.match(await recover(), { deletionsFinished: 0 })
    t.equal(manifests.size, 1)
    await ageDeletions(130)
    t.match(await recover(), { deletionsFinished: 1 })
    t.same([...manifests, ...blobs], [])
    t.same(Object.keys(await contents()), ['stays/here'])
    t.equal(await index.deletions.isBeingDeleted('half/deleted'), false)
  })

  t.test(
    'a deletion that the registry refuses is reported and retried later, and the others are finished',
    async (t) => {
      const { registry, run, recover, index, heard } = await start()
      const raw = { 'a/a': ONE, 'b/b': TWO, 'c/c': ONE }
      for (const [name, manifest] of Object.entries(raw)) registry.push(manifest, MANIFEST, 'v1', name)
      await run()
      for (const name of Object.keys(raw)) await index.deletions.beginDeletion(name)
      await ageDeletions(130)
      registry.before = (call) => (call === `DELETE manifest ${two}` ? refused() : undefined)
      t.match(await recover(), { deletionsFinished: 2, failures: 1 })
      t.same(heard.failed, ['b/b '])
      registry.before = () => undefined
      t.match(await recover(), { deletionsFinished: 0 }, 'not while it may be renewed')
      await ageDeletions(130)
      t.match(await recover(), { deletionsFinished: 0 }, 'not before its retry is due')
      await makeDue()
      t.match(await recover(), { deletionsFinished: 1 })
      t.equal(registry.repositories.get('b/b')?.manifests.size, 0)
    },
  )

  t.test('a deletion in progress is not taken over', async (t) => {
    const { registry, run, recover, index, ports } = await start()
    for (const raw of [ONE, TWO]) registry.push(raw, MANIFEST, digestOf(raw).slice(7, 17))
    await run()
    const id = await begin(index)
    await ageDeletions(130)
    const others: unknown[] = []
    registry.before = async () => void others.push((await recover()).deletionsFinished)
    await finishDeletion(ports, { id, name: REPOSITORY })
    t.ok(others.length >= 4)
    t.ok(others.every((finished) => finished === 0))
  })

  t.test('content that is pushed after the end of a deletion is not deleted', async (t) => {
    const { registry, run, index, ports, announce, contents } = await start()
    registry.push(ONE, MANIFEST, 'v1')
    await run()
    const id = await begin(index)
    const deletion = { id, name: REPOSITORY }
    const { listManifests } = ports.removedContents
    const slow = {
      ...ports.removedContents,
      // Another call finishes the deletion, and the same image is pushed again, before this call deletes anything.
      async listManifests(...asked: Parameters<typeof listManifests>) {
        const known = await listManifests(...asked)
        await finishDeletion(ports, deletion)
        await announce(ONE, 'v1')
        registry.push(ONE, MANIFEST, 'v1')
        await run()
        return known
      },
    }
    await finishDeletion({ ...ports, removedContents: slow }, deletion)
    t.same(await contents(), { [REPOSITORY]: { tags: { v1: one }, manifests: [one] } })
    t.same(await contents(), reachableIn(registry))
  })
})
