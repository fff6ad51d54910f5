import t from 'tap'
import { deleteTag } from '../../src/delete/delete-tag.ts'
import { both, one, startFilled, two } from '../fixtures/filled-repository.ts'
import { REPOSITORY, databaseForTest } from '../fixtures/index-and-registry.ts'
import { killed } from '../fixtures/memory-registry.ts'

const db = await databaseForTest(t)

t.test('deleting a tag keeps its image and the other tags', async (t) => {
  const { ports, registry, tags, manifests } = await startFilled(db)
  t.equal(await deleteTag(ports, REPOSITORY, 'one'), true)
  t.same(await tags(), { again: one, both })
  t.same(Object.fromEntries(registry.tags), { again: one, both })
  t.same([...registry.manifests.keys()].toSorted(), [one, two, both].toSorted(), 'no tombstone is left')
  t.same(await manifests(), [one, two, both].toSorted())
  const [tombstone = ''] = registry.calls.flatMap((call) => /^DELETE manifest (.*)/.exec(call)?.[1] ?? [])
  t.match(tombstone, /^sha256:/)
  const released = await db.selectFrom('released_digests').select('digest').execute()
  t.ok(
    released.some(({ digest }) => digest === tombstone),
    'the data of the tombstone is collected',
  )
  t.equal(await deleteTag(ports, REPOSITORY, 'one'), false, 'a repeat finds no tag')
})

t.test('deleting the last tag of a manifest keeps the manifest', async (t) => {
  const { ports, registry, tags, manifests } = await startFilled(db)
  t.equal(await deleteTag(ports, REPOSITORY, 'both'), true)
  t.same(await tags(), { again: one, one })
  t.ok(registry.manifests.has(both))
  t.ok((await manifests()).includes(both))
})

t.test('deleting a tag that the registry has lost removes it from the index', async (t) => {
  const { ports, registry, tags } = await startFilled(db)
  registry.tags.delete('one')
  t.equal(await deleteTag(ports, REPOSITORY, 'one'), false)
  t.same(await tags(), { again: one, both })
})

t.test('a tag can be deleted after an earlier deletion was killed at any step', async (t) => {
  const steps = 5
  for (let step = 1; step <= steps; step++) {
    const { ports, registry, tags } = await startFilled(db)
    registry.after = () => (registry.calls.length === step ? killed() : undefined)
    await deleteTag(ports, REPOSITORY, 'one').catch(() => undefined)
    registry.after = () => undefined
    await deleteTag(ports, REPOSITORY, 'one')
    t.same(await tags(), { again: one, both }, `killed after step ${step}`)
    t.notOk(registry.tags.has('one'))
    t.ok(registry.manifests.has(one), 'the image stays')
  }
})
