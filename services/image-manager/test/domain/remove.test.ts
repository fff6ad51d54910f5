import { connectPostgres } from '@registry-manager/database'
import t from 'tap'
import { createIndexChanges } from '../../src/adapters/index-changes.ts'
import { createIndexQueries } from '../../src/adapters/index-queries.ts'
import { recordAdmission } from '../../src/domain/record.ts'
import { deleteManifest, deleteRepository, deleteTag } from '../../src/domain/remove.ts'
import {
  INDEX,
  MANIFEST,
  REPOSITORY,
  blobsOf,
  image,
  indexOf,
  startIndex,
  databaseForTest,
} from '../fixtures/index-and-registry.ts'
import { digestOf, killed } from '../fixtures/memory-registry.ts'

const db = await databaseForTest(t)
const [ONE, TWO] = [image('one'), image('two')]
const BOTH = indexOf(ONE, TWO)
const [one, two, both] = [digestOf(ONE), digestOf(TWO), digestOf(BOTH)]

/** A repository of two images and their index: `one` and `again` name the first, `both` names the index. */
async function startFilled() {
  const started = await startIndex(db)
  const { ports, registry, admit } = started
  for (const [raw, tag, type] of [
    [ONE, 'one', MANIFEST],
    [ONE, 'again', MANIFEST],
    [TWO, null, MANIFEST],
    [BOTH, 'both', INDEX],
  ] as const) {
    const admission = await admit(raw, tag, type)
    registry.push(raw, type, tag ?? undefined)
    await recordAdmission(ports, admission)
  }
  for (const digest of [ONE, TWO].flatMap(blobsOf)) registry.blobs.add(digest)
  registry.calls.splice(0)
  return started
}

t.test('a tag is deleted alone: its image and the other tags stay', async (t) => {
  const { ports, registry, tags, manifests } = await startFilled()
  t.equal(await deleteTag(ports, REPOSITORY, 'one'), true)
  t.same(await tags(), { again: one, both })
  t.same(Object.fromEntries(registry.tags), { again: one, both })
  t.same([...registry.manifests.keys()].toSorted(), [one, two, both].toSorted(), 'nothing is left over')
  t.same(await manifests(), [one, two, both].toSorted())
  t.equal(await deleteTag(ports, REPOSITORY, 'one'), false, 'there is none any more')
})

t.test('the last tag of an image may go: the image stays', async (t) => {
  const { ports, registry, tags, manifests } = await startFilled()
  t.equal(await deleteTag(ports, REPOSITORY, 'both'), true)
  t.same(await tags(), { again: one, one })
  t.ok(registry.manifests.has(both))
  t.ok((await manifests()).includes(both))
})

t.test('while the database is away nothing is taken from the registry', async (t) => {
  const { registry } = await startFilled()
  const away = connectPostgres('postgres://x@127.0.0.1:1/x')
  t.teardown(() => away.destroy())
  const ports = { registry, index: createIndexChanges(away), queries: createIndexQueries(away) }
  await t.rejects(deleteTag(ports, REPOSITORY, 'one'), { code: 'ECONNREFUSED' })
  await t.rejects(deleteManifest(ports, REPOSITORY, one), { code: 'ECONNREFUSED' })
  await t.rejects(deleteRepository(ports, REPOSITORY), { code: 'ECONNREFUSED' })
  t.same(
    registry.calls.filter((call) => !call.startsWith('HEAD')),
    [],
  )
})

t.test('a tag that the registry has lost is taken from the index', async (t) => {
  const { ports, registry, tags } = await startFilled()
  registry.tags.delete('one')
  t.equal(await deleteTag(ports, REPOSITORY, 'one'), false)
  t.same(await tags(), { again: one, both })
})

t.test('a tag whose deletion was killed after any step can be deleted still', async (t) => {
  const steps = 5
  for (let step = 1; step <= steps; step++) {
    const { ports, registry, tags } = await startFilled()
    registry.after = () => (registry.calls.length === step ? killed() : undefined)
    await deleteTag(ports, REPOSITORY, 'one').catch(() => undefined)
    registry.after = () => undefined
    await deleteTag(ports, REPOSITORY, 'one')
    t.same(await tags(), { again: one, both }, `after ${step}`)
    t.notOk(registry.tags.has('one'))
    t.ok(registry.manifests.has(one), 'its image stays')
  }
})

t.test('a manifest goes with its tags', async (t) => {
  const { ports, registry, tags, manifests } = await startFilled()
  t.equal(await deleteManifest(ports, REPOSITORY, one), true)
  t.same(await tags(), { both })
  t.same(await manifests(), [two, both].toSorted())
  t.notOk(registry.manifests.has(one))
  t.equal(await deleteManifest(ports, REPOSITORY, one), false)
})

t.test('a manifest that was pushed again in the middle stays', async (t) => {
  const { ports, registry, manifests } = await startFilled()
  registry.after = (call) => void (call.startsWith('DELETE') && registry.push(ONE, MANIFEST))
  t.equal(await deleteManifest(ports, REPOSITORY, one), true)
  t.ok((await manifests()).includes(one))
})

t.test('the last manifest takes its repository with it', async (t) => {
  const { ports, queries } = await startFilled()
  for (const digest of [both, one]) await deleteManifest(ports, REPOSITORY, digest)
  t.ok(await queries.findRepository(REPOSITORY))
  await deleteManifest(ports, REPOSITORY, two)
  t.equal(await queries.findRepository(REPOSITORY), undefined)
})

t.test('a repository goes: indexes before images, blobs after all of them, each once', async (t) => {
  const { ports, registry, queries, manifests, tags } = await startFilled()
  await deleteRepository(ports, REPOSITORY)
  t.equal(registry.calls[0], `DELETE manifest ${both}`)
  t.same(
    registry.calls.slice(1, 3).toSorted(),
    [`DELETE manifest ${one}`, `DELETE manifest ${two}`].toSorted(),
  )
  const blobs = [...new Set([ONE, TWO].flatMap(blobsOf))].map((digest) => `DELETE blob ${digest}`)
  // At last the registry is asked whether its tags reach anything else.
  t.same(registry.calls.slice(3).toSorted(), [...blobs, `GET tags ${REPOSITORY}`].toSorted())
  t.same([...registry.manifests, ...registry.tags, ...registry.blobs], [])
  t.equal(await queries.findRepository(REPOSITORY), undefined)
  t.same([await manifests(), await tags()], [[], {}])
})

for (const when of ['before', 'after'] as const) {
  t.test(`killed ${when} any step, a deletion is invisible, and finished by the next call`, async (t) => {
    const steps = 8
    for (let step = 0; step < steps; step++) {
      const { ports, registry, queries, index } = await startFilled()
      let calls = 0
      registry[when] = () => (calls++ === step ? killed() : undefined)
      await t.rejects(
        deleteRepository(ports, REPOSITORY),
        { message: 'killed in the middle' },
        `step ${step}`,
      )
      t.equal(await queries.findRepository(REPOSITORY), undefined, 'it is not found')
      const page = { limit: 10, after: '' }
      t.same(await queries.listRepositories({ kind: 'all' }, page), [], 'nor listed')
      t.equal(await index.isBeingDeleted(REPOSITORY), true)
      registry[when] = () => undefined
      await deleteRepository(ports, REPOSITORY)
      t.same([...registry.manifests, ...registry.tags, ...registry.blobs], [], 'nothing is left')
      t.equal(await index.isBeingDeleted(REPOSITORY), false)
    }
  })
}
