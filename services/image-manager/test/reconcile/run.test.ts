import { ServiceCallError } from '@registry-manager/http'
import { sql } from 'kysely'
import t from 'tap'
import { onBothDatabases } from '@registry-manager/testing/both-databases'
import { deleteTag } from '../../src/delete/delete-tag.ts'
import { INDEX, MANIFEST, REPOSITORY, image, indexOf } from '../fixtures/index-and-registry.ts'
import { createMemoryRegistry, digestOf, killed } from '../fixtures/memory-registry.ts'
import { reachableIn, refused, startReconcile } from '../fixtures/reconcile.ts'

const [ONE, TWO, THREE] = [image('one'), image('two'), image('three')]
const [one, two, three] = [digestOf(ONE), digestOf(TWO), digestOf(THREE)]
const BOTH = indexOf(ONE, TWO)

await onBothDatabases(t, async (t, db) => {
  t.test('reconcile adopts every image that the tags of a registry reach', async (t) => {
    const { registry, run, contents } = await startReconcile(db)
    const NESTED = indexOf(BOTH, THREE)
    for (const name of ['a', 'b/c', 'b/c/d', 'e-f/g']) registry.push(ONE, MANIFEST, 'v1', name)
    registry.push(ONE, MANIFEST, 'v2', 'a')
    registry.push(TWO, MANIFEST, 'v3', 'a')
    for (const raw of [ONE, TWO, THREE]) registry.push(raw, MANIFEST, undefined, 'multi/arch')
    registry.push(BOTH, INDEX, undefined, 'multi/arch')
    registry.push(NESTED, INDEX, 'latest', 'multi/arch')
    registry.push(THREE, MANIFEST, undefined, 'b/c')
    registry.push(ONE, MANIFEST, 'gone', 'emptied')
    await registry.deleteManifest('emptied', one)

    const first = await run()
    t.same(await contents(), reachableIn(registry))
    t.same(
      (await contents())['multi/arch']?.manifests.length,
      5,
      'an image index, the image index in it, and their images',
    )
    t.notOk(
      (await contents())['b/c']?.manifests.includes(three),
      'a manifest that no tag reaches cannot be found',
    )
    t.match(first?.counts, { repositories: 5, tags: 7, manifestsAdopted: 10, tagsChanged: 7, failures: 0 })
    t.match(first?.counts, { tagsRemoved: 0, manifestsRemoved: 0 })

    registry.calls.splice(0)
    const second = await run()
    t.match(second?.counts, { repositories: 5, manifestsAdopted: 0, tagsChanged: 0, manifestsRemoved: 0 })
    // Requests: the catalog, a tag list for each of its names, each tag, and each manifest without a tag.
    t.equal(second?.counts.registryRequests, 1 + 6 + 7 + 4)
    t.equal(registry.calls.length, second?.counts.registryRequests)
    t.notOk(registry.calls.some((call) => call.startsWith('GET manifest')))
    t.same(await contents(), reachableIn(registry))
  })

  t.test('reconcile adds tags and manifests that only the registry has', async (t) => {
    const { registry, run, contents } = await startReconcile(db)
    registry.push(ONE, MANIFEST, 'moves')
    await run()
    await db.updateTable('repositories').set({ scope: 'global' }).execute()
    registry.push(TWO, MANIFEST, 'moves')
    registry.push(TWO, MANIFEST, 'new')
    registry.push(THREE, MANIFEST, 'v1', 'another/app')
    const done = await run()
    t.same((await contents())['another/app'], { tags: { v1: three }, manifests: [three] })
    t.same((await contents())[REPOSITORY], {
      tags: { moves: two, new: two },
      manifests: [one, two].toSorted(),
    })
    t.match(done?.counts, { tagsChanged: 3, manifestsAdopted: 2, manifestsRemoved: 0 })
    const scopes = await db.selectFrom('repositories').select(['name', 'scope']).orderBy('name').execute()
    t.same(scopes, [
      { name: 'another/app', scope: 'namespace' },
      { name: REPOSITORY, scope: 'global' },
    ])
  })

  t.test('reconcile neither adopts nor reports repositories of the trash', async (t) => {
    const { registry, run, contents, heard } = await startReconcile(db)
    registry.push(ONE, MANIFEST, 'v1', 'registry-manager-trash/a')
    registry.push(TWO, MANIFEST, 'v1', 'team/live')
    await run()
    t.same(Object.keys(await contents()), ['team/live'])
    t.same(heard.failed, [])
    t.same(registry.repositories.get('registry-manager-trash/a')?.tags.size, 1, 'nothing is deleted')
  })

  t.test('reconcile removes tags and manifests that only the index has', async (t) => {
    const { registry, run, contents } = await startReconcile(db)
    for (const raw of [ONE, TWO]) registry.push(raw, MANIFEST)
    registry.push(BOTH, INDEX, 'both')
    registry.push(ONE, MANIFEST, 'one')
    registry.push(THREE, MANIFEST, 'three')
    for (const name of ['lost/one', 'lost/two']) registry.push(ONE, MANIFEST, 'v1', name)
    registry.push(ONE, MANIFEST, 'v1', 'emptied')
    await run()
    registry.tags.delete('one')
    registry.manifests.delete(two)
    await registry.deleteManifest(REPOSITORY, three)
    await registry.deleteManifest('emptied', one)
    for (const name of ['lost/one', 'lost/two']) registry.repositories.delete(name)

    const done = await run()
    const manifests = [one, digestOf(BOTH)].toSorted()
    t.same(await contents(), { [REPOSITORY]: { tags: { both: digestOf(BOTH) }, manifests } })
    t.match(done?.counts, { tagsRemoved: 5, manifestsRemoved: 5, manifestsAdopted: 0 })
  })

  t.test('reconcile finishes an interrupted deletion of a tag', async (t) => {
    const { registry, run, contents, ports } = await startReconcile(db)
    for (const tag of ['goes', 'stays']) registry.push(ONE, MANIFEST, tag)
    await run()
    registry.push(ONE, MANIFEST, 'goes', 'never/seen')
    registry.after = (call) => (call.startsWith('PUT') ? killed() : undefined)
    for (const name of [REPOSITORY, 'never/seen']) await t.rejects(deleteTag(ports, name, 'goes'))
    registry.after = () => undefined
    t.match((await run())?.counts, { deletionsFinished: 2, failures: 0 })
    t.same(Object.fromEntries(registry.tags), { stays: one })
    t.same(await contents(), { [REPOSITORY]: { tags: { stays: one }, manifests: [one] } })
    const left = [...registry.repositories.values()].map(({ manifests }) => manifests.size)
    t.same(left, [1, 1], 'no tombstone is left')
  })

  t.test('an empty registry ends the run with an error, unless --believe-empty is given', async (t) => {
    const { registry, run, contents } = await startReconcile(db)
    registry.push(ONE, MANIFEST, 'v1')
    await run()
    const before = await contents()
    const unmounted = { registry: createMemoryRegistry() }
    await t.rejects(run(unmounted), { message: /lists no repository.*--believe-empty/ })
    t.same(await contents(), before)
    await run({ ...unmounted, believeEmpty: true })
    t.same(await contents(), {})
    t.ok(await run(unmounted), 'an empty registry and an empty index agree')
  })

  t.test('content that cannot be recorded is reported and does not end the run', async (t) => {
    const { registry, run, contents, heard } = await startReconcile(db)
    registry.push(ONE, MANIFEST, 'was-good')
    await run()
    const schema1 = 'application/vnd.docker.distribution.manifest.v1+prettyjws'
    registry.manifests.set(two, { raw: Buffer.from('{"schemaVersion":1}'), mediaType: schema1 })
    registry.tags.set('schema-1', two)
    registry.tags.set('was-good', two)
    registry.push(Buffer.from('no JSON'), MANIFEST, 'malformed')
    registry.tags.set('-no-tag', one)
    registry.push(indexOf(THREE), INDEX, 'good')
    registry.manifests.set(three, { raw: Buffer.from('no JSON'), mediaType: MANIFEST })
    registry.tags.set('broken-link', 'broken')
    registry.push(ONE, MANIFEST, 'v1', 'No/Repository')
    registry.push(ONE, MANIFEST, 'v1', 'zz/last')
    registry.before = (call) => (call.endsWith(' broken-link') ? refused() : undefined)

    const done = await run()
    const failed = ['-no-tag', 'broken-link', 'malformed', 'schema-1', three, 'was-good']
    t.same(heard.failed.toSorted(), ['No/Repository ', ...failed.map((tag) => `${REPOSITORY} ${tag}`)])
    t.equal(done?.counts.failures, 7)
    const tags = { good: digestOf(indexOf(THREE)), 'was-good': one }
    t.same((await contents())[REPOSITORY]?.tags, tags, 'known tags stay unchanged')
    t.same((await contents())['zz/last']?.tags, { v1: one }, 'the run continued')
  })

  t.test('a repository that the registry cannot list is skipped; several in a row end the run', async (t) => {
    const { registry, run, contents } = await startReconcile(db)
    for (const name of ['a', 'b', 'c', 'd', 'e', 'f']) registry.push(ONE, MANIFEST, 'v1', name)
    registry.before = (call) => (call === 'GET tags c' ? refused() : undefined)
    t.match((await run())?.counts, { failures: 1, repositories: 5 })
    t.same(Object.keys(await contents()), ['a', 'b', 'd', 'e', 'f'])
    registry.before = (call) => (call.startsWith('GET tags') ? refused() : undefined)
    await t.rejects(run(), { message: 'the registry responded 500' })
    t.same(Object.keys(await contents()), ['a', 'b', 'd', 'e', 'f'])
  })

  t.test('reconcile finds repositories that the catalog pages of distribution leave out', async (t) => {
    const names = ['a', 'a/0', 'a/0/1', 'a/0/1/x', 'a/b', 'a-b', 'b/2/3', 'b', 'b/2', 'c']
    for (const pageSize of [1, 2, 3, 1000]) {
      const { registry, run, contents } = await startReconcile(db)
      registry.pageSize = pageSize
      for (const name of names) registry.push(ONE, MANIFEST, 'v1', name)
      await run()
      t.same(Object.keys(await contents()).toSorted(), names.toSorted(), `pages of ${pageSize}`)
    }
  })

  t.test('a catalog that does not advance ends the run', async (t) => {
    const { registry, run } = await startReconcile(db)
    registry.push(ONE, MANIFEST, 'v1')
    const listRepositories = async () => ({ names: [REPOSITORY], next: REPOSITORY })
    await t.rejects(run({ registry: { ...registry, listRepositories } }), { message: /does not advance/ })
  })

  t.test('only one process at a time works on a run', async (t) => {
    const { registry, run, heard } = await startReconcile(db)
    registry.push(ONE, MANIFEST, 'v1')
    const seconds: unknown[] = []
    registry.before = async () => void seconds.push(await run())
    t.ok(await run())
    t.equal(seconds.length, 3, 'a page of the catalog, a list of tags, a tag')
    t.ok(seconds.every((second) => second === undefined))
    t.equal(heard.taken.length, 1)
  })

  t.test('a run whose lease expired is taken over by another process', async (t) => {
    const { registry, run, heard, expireLease, contents } = await startReconcile(db)
    for (const name of ['a', 'b', 'c']) registry.push(ONE, MANIFEST, 'v1', name)
    registry.before = async (call) => {
      if (call !== 'GET tags b') return
      registry.before = () => undefined
      await expireLease()
      t.ok(await run(), 'the second process takes the run over and finishes it')
    }
    await t.rejects(run(), { message: /has taken over reconcile run/ }, 'the first process notices')
    t.equal(heard.taken[0]?.id, heard.taken[1]?.id)
    t.same(await contents(), reachableIn(registry))
    const runs = await db.selectFrom('reconciliations').select('finished_at').execute()
    t.equal(runs.length, 1)
    t.ok(runs[0]?.finished_at)
  })

  t.test(
    'a run is due if none finished within the interval; an unfinished run is always resumed',
    async (t) => {
      const { registry, run } = await startReconcile(db)
      registry.push(ONE, MANIFEST, 'v1')
      t.ok(await run({ dueAfterSeconds: 3600 }), 'the first run ever')
      t.equal(await run({ dueAfterSeconds: 3600 }), undefined)
      await db
        .updateTable('reconciliations')
        .set({ finished_at: sql`now() - interval '61 minutes'` })
        .execute()
      registry.before = () => {
        throw new ServiceCallError('unavailable', { dependency: 'registry' })
      }
      await t.rejects(run({ dueAfterSeconds: 3600 }), { message: 'unavailable' }, 'a new run is due')
      registry.before = () => undefined
      await db
        .insertInto('reconciliations')
        .values({ holder: sql`gen_random_uuid()`, leased_until: sql`now()`, finished_at: sql`now()` })
        .execute()
      t.ok(await run({ dueAfterSeconds: 3600 }), 'the unfinished run is resumed')
      t.equal(await run({ dueAfterSeconds: 3600 }), undefined)
    },
  )

  t.test('a run that is stopped is resumed at the saved position', async (t) => {
    const { registry, run, contents, heard } = await startReconcile(db)
    for (const name of ['a', 'b', 'c', 'd']) registry.push(ONE, MANIFEST, 'v1', name)
    const stopping = new AbortController()
    registry.after = (call) => (call === 'GET tags c' ? stopping.abort(new Error('stop')) : undefined)
    await t.rejects(run({ signal: stopping.signal }), { message: 'stop' })
    t.same(Object.keys(await contents()), ['a', 'b'])
    registry.calls.splice(0)
    registry.after = () => undefined
    t.match((await run())?.counts, { repositories: 4, tagsChanged: 4 }, 'the counts continue')
    t.same(await contents(), reachableIn(registry))
    const lists = registry.calls.filter((call) => call.startsWith('GET tags'))
    t.same(lists, ['GET tags c', 'GET tags d'], 'finished repositories are not listed again')
    t.equal(heard.taken[1]?.id, heard.taken[0]?.id)
    t.match(heard.taken[1], { lastName: 'b', step: 'registry' })
  })

  t.test('a long run recovers pending pushes every minute', async (t) => {
    const { registry, run, announce, pendingPushes, agePendingPushes } = await startReconcile(db)
    for (const name of ['a', 'b', 'c', 'd']) registry.push(ONE, MANIFEST, 'v1', name)
    let now = 0
    const pending: number[] = []
    registry.after = async (call) => {
      if (!call.startsWith('GET tags')) return
      now += 31_000
      pending.push(await pendingPushes())
      if (pending.length > 1) return
      await announce(TWO, null)
      await agePendingPushes()
    }
    t.match((await run({ now: () => now }))?.counts, { pushesRecovered: 1, repositories: 4 })
    t.same(pending, [0, 1, 0, 0])
  })

  t.test('a registry that becomes unavailable ends the run and changes nothing in the index', async (t) => {
    const { registry, run, contents } = await startReconcile(db)
    for (const name of ['a', 'b']) registry.push(ONE, MANIFEST, 'v1', name)
    await run()
    const before = await contents()
    registry.before = () => {
      throw new ServiceCallError('unavailable', { dependency: 'registry' })
    }
    await t.rejects(run(), { message: 'unavailable' })
    t.same(await contents(), before)
  })
})
