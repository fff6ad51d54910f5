import { ServiceCallError } from '@registry-manager/http'
import { sql } from 'kysely'
import t from 'tap'
import { onBothDatabases } from '@registry-manager/testing/both-databases'
import { finishDeletion } from '../../src/delete/delete.ts'
import type { ItemFailure } from '../../src/reconcile/work-item.ts'
import { createReconciler } from '../../src/reconcile/reconciler.ts'
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
        void heard.unreadable.push(`${repository} ${reference}`),
    }
    const { recover } = createReconciler({ db, createRegistry: () => registry, listener })
    return { ...started, recover: () => recover(new AbortController().signal) }
  }
  const ageAdmissions = (seconds: number) =>
    db
      .updateTable('admissions')
      .set({ admitted_at: sql`now() - make_interval(secs => ${seconds})` })
      .execute()
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

  t.test('a push that landed and was not written down is, with its tag', async (t) => {
    const { registry, admit, recover, contents, admissions } = await start()
    await admit(ONE, 'latest')
    registry.push(ONE, MANIFEST, 'latest')
    await admit(TWO, null)
    registry.push(TWO, MANIFEST)
    t.match(await recover(), { admissionsSettled: 0 }, 'not while somebody may be at it')
    t.equal(await admissions(), 2)
    await ageAdmissions(100)
    t.match(await recover(), { admissionsSettled: 2, registryRequests: 5 })
    t.same(await contents(), { [REPOSITORY]: { tags: { latest: one }, manifests: [one, two].toSorted() } })
    t.equal(await admissions(), 0)
    t.match(
      await recover(),
      { admissionsSettled: 0, registryRequests: 0 },
      'and then there is nothing to ask',
    )
  })

  t.test('one that never landed is forgotten, and nobody saw anything of it', async (t) => {
    const { registry, admit, recover, contents, admissions, index } = await start()
    await admit(ONE, 'latest')
    await admit(TWO, null)
    await ageAdmissions(100)
    registry.after = async () => t.equal(await index.repositories.findRepository(REPOSITORY), undefined)
    t.match(await recover(), { admissionsSettled: 2 })
    t.same(await contents(), {})
    t.equal(await admissions(), 0)
  })

  t.test('one that was overtaken brings the tag to what it is', async (t) => {
    const { registry, admit, recover, contents } = await start()
    await admit(ONE, 'latest')
    registry.push(TWO, MANIFEST, 'latest')
    await ageAdmissions(100)
    await recover()
    t.same(await contents(), reachableIn(registry))
  })

  t.test(
    'one that cannot be written down is told and forgotten; one that could not be asked for stays',
    async (t) => {
      const { registry, admit, recover, admissions, heard } = await start()
      for (const tag of ['malformed', 'refused', 'good']) await admit(ONE, tag)
      registry.push(Buffer.from('no JSON'), MANIFEST, 'malformed')
      registry.push(ONE, MANIFEST, 'good')
      registry.before = (call) => (call.endsWith(' refused') ? refused() : undefined)
      await ageAdmissions(100)
      t.match(await recover(), { admissionsSettled: 2, unreadable: 2 })
      t.equal(await admissions(), 1)
      t.same(heard.unreadable.toSorted(), [`${REPOSITORY} malformed`, `${REPOSITORY} refused`])
      registry.before = () => undefined
      t.match(await recover(), { admissionsSettled: 0, unreadable: 0 }, 'not before its time')
      await makeDue()
      t.match(await recover(), { admissionsSettled: 1, unreadable: 0 })
    },
  )

  t.test('a registry that is away leaves them all', async (t) => {
    const { registry, admit, recover, admissions } = await start()
    for (const tag of ['a', 'b']) await admit(ONE, tag)
    await ageAdmissions(100)
    registry.before = () => {
      throw new ServiceCallError('away', { dependency: 'registry' })
    }
    await t.rejects(recover(), { message: 'away' })
    t.equal(await admissions(), 2)
  })

  t.test('many are settled in one go', async (t) => {
    const { recover, admissions } = await start()
    const repository = REPOSITORY
    const raw = Buffer.from('{}')
    const row = { repository, digest: digestOf(raw), tag: null, media_type: MANIFEST, raw }
    const rows = Array.from({ length: 510 }, () => row)
    await db.insertInto('admissions').values(rows).execute()
    await ageAdmissions(100)
    t.match(await recover(), { admissionsSettled: 510 })
    t.equal(await admissions(), 0)
  })

  t.test('a deletion that broke off is finished, once nobody is at it any more', async (t) => {
    const { registry, run, recover, index, contents } = await start()
    for (const name of ['broken/off', 'stays/here']) registry.push(ONE, MANIFEST, 'v1', name)
    const { blobs, manifests } = registry.repositories.get('broken/off') ?? registry
    for (const digest of blobsOf(ONE)) blobs.add(digest)
    await run()
    await index.deletions.beginDeletion('broken/off')
    await ageDeletions(60)
    t.match(await recover(), { deletionsFinished: 0 })
    t.equal(manifests.size, 1)
    await ageDeletions(130)
    t.match(await recover(), { deletionsFinished: 1 })
    t.same([...manifests, ...blobs], [])
    t.same(Object.keys(await contents()), ['stays/here'])
    t.equal(await index.deletions.isBeingDeleted('broken/off'), false)
  })

  t.test(
    'one that the registry refuses is told, the others are finished, and it is tried again later',
    async (t) => {
      const { registry, run, recover, index, heard } = await start()
      const raw = { 'a/a': ONE, 'b/b': TWO, 'c/c': ONE }
      for (const [name, manifest] of Object.entries(raw)) registry.push(manifest, MANIFEST, 'v1', name)
      await run()
      for (const name of Object.keys(raw)) await index.deletions.beginDeletion(name)
      await ageDeletions(130)
      registry.before = (call) => (call === `DELETE manifest ${two}` ? refused() : undefined)
      t.match(await recover(), { deletionsFinished: 2, unreadable: 1 })
      t.same(heard.unreadable, ['b/b '])
      registry.before = () => undefined
      t.match(await recover(), { deletionsFinished: 0 }, 'not at once')
      await ageDeletions(130)
      t.match(await recover(), { deletionsFinished: 0 }, 'not before its time')
      await makeDue()
      t.match(await recover(), { deletionsFinished: 1 })
      t.equal(registry.repositories.get('b/b')?.manifests.size, 0)
    },
  )

  t.test('a deletion under way is nobody else’s', async (t) => {
    const { registry, run, recover, index, ports } = await start()
    for (const raw of [ONE, TWO]) registry.push(raw, MANIFEST, digestOf(raw).slice(7, 17))
    await run()
    const id = (await index.deletions.beginDeletion(REPOSITORY)) ?? ''
    await ageDeletions(130)
    const others: unknown[] = []
    registry.before = async () => void others.push((await recover()).deletionsFinished)
    await finishDeletion(ports, { id, name: REPOSITORY })
    t.ok(others.length >= 4)
    t.ok(others.every((finished) => finished === 0))
  })

  t.test('what is pushed after a deletion’s end is not what it deletes', async (t) => {
    const { registry, run, index, ports, admit, contents } = await start()
    registry.push(ONE, MANIFEST, 'v1')
    await run()
    const id = (await index.deletions.beginDeletion(REPOSITORY)) ?? ''
    const deletion = { id, name: REPOSITORY }
    const { listManifests } = index.manifests
    const slow = {
      ...index.manifests,
      // Another call brings it to its end, and the same image is pushed anew, while this one has only looked.
      async listManifests(name: string) {
        const manifests = await listManifests(name)
        await finishDeletion(ports, deletion)
        await admit(ONE, 'v1')
        registry.push(ONE, MANIFEST, 'v1')
        await run()
        return manifests
      },
    }
    await finishDeletion({ ...ports, manifests: slow }, deletion)
    t.same(await contents(), { [REPOSITORY]: { tags: { v1: one }, manifests: [one] } })
    t.same(await contents(), reachableIn(registry))
  })
})
