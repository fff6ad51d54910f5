import { connectPostgres } from '@registry-manager/database'
import t from 'tap'
import { verifyManifest } from '../../src/index/verify-manifest.ts'
import { recordPendingPush } from '../../src/push/record-pending-push.ts'
import { removeOldOrphans } from '../../src/delete/delete-orphans.ts'
import { deleteManifest, deleteRepository, deleteTag } from '../../src/delete/delete.ts'
import {
  INDEX,
  MANIFEST,
  REPOSITORY,
  blobsOf,
  image,
  indexOf,
  repositoriesOf,
  startIndex,
  databaseForTest,
} from '../fixtures/index-and-registry.ts'
import { digestOf, killed } from '../fixtures/memory-registry.ts'

const db = await databaseForTest(t)
const [ONE, TWO] = [image('one'), image('two')]
const BOTH = indexOf(ONE, TWO)
const blobs = new Set([ONE, TWO].flatMap(blobsOf))
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
    await recordPendingPush(ports, admission)
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
  const ports = { registry, ...repositoriesOf(away) }
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
  t.same(await deleteManifest(ports, REPOSITORY, one), { outcome: 'deleted' })
  t.same(await tags(), { both })
  t.same(await manifests(), [two, both].toSorted())
  t.notOk(registry.manifests.has(one))
  t.same(await deleteManifest(ports, REPOSITORY, one), { outcome: 'unknown' })
})

t.test('a manifest that was pushed again in the middle stays', async (t) => {
  const { ports, registry, manifests } = await startFilled()
  registry.after = (call) => void (call.startsWith('DELETE') && registry.push(ONE, MANIFEST))
  t.same(await deleteManifest(ports, REPOSITORY, one), { outcome: 'deleted' })
  t.ok((await manifests()).includes(one))
})

t.test(
  'a repository whose last manifest a client deletes stays, private and empty, until it is deleted',
  async (t) => {
    const { ports, index, registry, manifests } = await startFilled()
    const id = (await index.repositories.findRepository(REPOSITORY))?.id ?? ''
    await index.repositories.setScope(id, 'global')
    const [number] = (await index.globalScope.findGlobalMarks([REPOSITORY]))[REPOSITORY] ?? []
    for (const digest of [both, one]) await deleteManifest(ports, REPOSITORY, digest)
    t.equal((await index.repositories.findRepository(REPOSITORY))?.scope, 'global')
    await deleteManifest(ports, REPOSITORY, two)
    t.match(await index.repositories.findRepository(REPOSITORY), { id, scope: 'namespace' })
    t.same([await manifests(), await index.tags.listTags(id, { limit: 10, after: '' })], [[], []])
    t.equal(
      (await index.globalScope.listEndedGlobals(60))[String(number)],
      1,
      'tokens that it granted are refused',
    )
    t.same([...registry.blobs], [], 'no blob is left')
    await deleteRepository(ports, REPOSITORY)
    t.equal(await index.repositories.findRepository(REPOSITORY), undefined)
    t.equal(await index.deletions.beginDeletion(REPOSITORY), undefined, 'then nothing is known of it')
  },
)

t.test(
  'a repository whose last manifest the registry lost goes, and what the manifest named stays known',
  async (t) => {
    const { ports, registry, index } = await startFilled()
    for (const digest of [one, two, both]) registry.manifests.delete(digest)
    for (const digest of [one, two, both]) await verifyManifest(ports, REPOSITORY, digest)
    t.equal(await index.repositories.findRepository(REPOSITORY), undefined)
    t.equal(registry.blobs.size, blobs.size, 'no blob is deleted')
    t.equal(await index.blobs.hasBlobs(REPOSITORY), true)
    await deleteRepository(ports, REPOSITORY)
    t.same([...registry.blobs], [], 'but with the repository, which can be deleted still')
  },
)

t.test('the blobs of a deleted manifest go, but those that another manifest names', async (t) => {
  const { ports, registry } = await startFilled()
  await deleteManifest(ports, REPOSITORY, one)
  t.same([...registry.blobs].toSorted(), blobsOf(TWO).toSorted())
  t.equal(registry.calls.filter((call) => call.startsWith('DELETE blob')).length, 2)
})

t.test('the blobs of a deleted manifest stay while a pending push names one of them', async (t) => {
  const { ports, registry, admit, index } = await startFilled()
  const pending = image('pending')
  const digests = [blobsOf(ONE)[0] ?? '']
  const id = await index.pendingPushes.insertPendingPush({
    repository: REPOSITORY,
    digest: digestOf(pending),
    tag: null,
    mediaType: MANIFEST,
    raw: pending,
    digests,
  })
  await deleteManifest(ports, REPOSITORY, one)
  t.same([...registry.blobs].toSorted(), [...new Set([...blobsOf(TWO), ...digests])].toSorted())
  await index.pendingPushes.removePendingPush(id)
  // A process of the version before does not say what its manifest names.
  await admit(pending, null)
  await deleteManifest(ports, REPOSITORY, two)
  t.same(
    [...registry.blobs].toSorted(),
    [...new Set([...blobsOf(TWO), ...digests])].toSorted(),
    'so all stay',
  )
})

t.test('blobs with a sha512 name stay while a manifest names them by either', async (t) => {
  const { ports, registry, index, admit } = await startFilled()
  const [config = '', layer = ''] = blobsOf(ONE)
  const wide = `sha512:${'a'.repeat(128)}`
  registry.blobs.add(wide)
  registry.canonicalNames.set(wide, layer)
  const named = (digest: string) =>
    Buffer.from(
      JSON.stringify({
        schemaVersion: 2,
        mediaType: MANIFEST,
        config: { digest: config },
        layers: [{ digest }],
      }),
    )
  const push = async (raw: Buffer) => {
    const admission = await admit(raw, null)
    registry.push(raw, MANIFEST)
    await recordPendingPush(ports, admission)
    return admission.digest
  }
  const byWide = await push(named(wide))
  await deleteManifest(ports, REPOSITORY, one)
  t.ok(registry.blobs.has(layer), 'its alias was never recorded: the registry is asked for it')
  t.ok(registry.blobs.has(wide))
  await index.blobAliases.aliasBlob(REPOSITORY, wide, layer)
  await deleteManifest(ports, REPOSITORY, byWide)
  t.same([...registry.blobs].toSorted(), blobsOf(TWO).toSorted(), 'then both names go')
})

t.test('what a killed deletion of a manifest left over is deleted later', async (t) => {
  for (let step = 0; step < 3; step++) {
    const { ports, registry } = await startFilled()
    let calls = 0
    registry.before = (call) => (call.startsWith('DELETE blob') && calls++ === step ? killed() : undefined)
    await deleteManifest(ports, REPOSITORY, one).catch(() => undefined)
    registry.before = () => undefined
    t.equal(await removeOldOrphans(ports), 0, 'not at once: somebody may be at it')
    await db
      .updateTable('repository_blobs')
      .set({ orphaned_at: new Date(Date.now() - 130_000) })
      .where('orphaned_at', 'is not', null)
      .execute()
    await removeOldOrphans(ports)
    t.same([...registry.blobs].toSorted(), blobsOf(TWO).toSorted(), `step ${step}`)
  }
})

t.test(
  'a blob whose upload ends after its repository was deleted is deleted, unless it is uploaded again',
  async (t) => {
    const { ports, registry, index } = await startFilled()
    const late = `sha256:${'1'.repeat(64)}`
    t.equal(await index.blobs.announceBlob(REPOSITORY, late), true)
    await deleteRepository(ports, REPOSITORY)
    registry.blobs.add(late)
    t.equal(await index.deletions.beginDeletion(REPOSITORY), undefined, 'the repository is gone all the same')
    const age = async () =>
      db
        .updateTable('repository_blobs')
        .set({ orphaned_at: new Date(Date.now() - 7_200_000) })
        .where('orphaned_at', 'is not', null)
        .execute()
    await age()
    await removeOldOrphans(ports)
    t.same([...registry.blobs], [])

    await index.blobs.announceBlob(REPOSITORY, late)
    await deleteRepository(ports, REPOSITORY)
    registry.blobs.add(late)
    await index.blobs.announceBlob(REPOSITORY, late)
    await age()
    await removeOldOrphans(ports)
    t.same([...registry.blobs], [late])
  },
)

t.test('no upload is announced while the repository is being deleted', async (t) => {
  const { index } = await startFilled()
  await index.deletions.beginDeletion(REPOSITORY)
  t.equal(await index.blobs.announceBlob(REPOSITORY, one), false)
  t.equal(await index.blobs.announceBlob('team/other', one), true)
})

t.test('a manifest that an index names stays, unless its deletion is forced', async (t) => {
  const { ports, registry, manifests } = await startFilled()
  const refused = await deleteManifest(ports, REPOSITORY, one, { unlessInUse: true })
  t.same(refused, { outcome: 'in-use', by: { digest: both, tag: 'both' } })
  t.ok(registry.manifests.has(one))
  await deleteTag(ports, REPOSITORY, 'both')
  const untagged = await deleteManifest(ports, REPOSITORY, one, { unlessInUse: true })
  t.same(untagged, { outcome: 'in-use', by: { digest: both, tag: null } })
  t.same(await deleteManifest(ports, REPOSITORY, one), { outcome: 'deleted' }, 'forced')
  t.same(await deleteManifest(ports, REPOSITORY, both, { unlessInUse: true }), { outcome: 'deleted' })
  t.same(await deleteManifest(ports, REPOSITORY, two, { unlessInUse: true }), { outcome: 'deleted' })
  t.same(await manifests(), [])
})

t.test('a repository goes: indexes before images, blobs after all of them, each once', async (t) => {
  const { ports, registry, index, manifests, tags } = await startFilled()
  await deleteRepository(ports, REPOSITORY)
  t.equal(registry.calls[0], `DELETE manifest ${both}`)
  t.same(
    registry.calls.slice(1, 3).toSorted(),
    [`DELETE manifest ${one}`, `DELETE manifest ${two}`].toSorted(),
  )
  const deletions = [...blobs].map((digest) => `DELETE blob ${digest}`)
  // At last the registry is asked whether its tags reach anything else.
  t.same(registry.calls.slice(3).toSorted(), [...deletions, `GET tags ${REPOSITORY}`].toSorted())
  t.same([...registry.manifests, ...registry.tags, ...registry.blobs], [])
  t.equal(await index.repositories.findRepository(REPOSITORY), undefined)
  t.same([await manifests(), await tags()], [[], {}])
})

for (const when of ['before', 'after'] as const) {
  t.test(`killed ${when} any step, a deletion is invisible, and finished by the next call`, async (t) => {
    const steps = 8
    for (let step = 0; step < steps; step++) {
      const { ports, registry, index } = await startFilled()
      let calls = 0
      registry[when] = () => (calls++ === step ? killed() : undefined)
      await t.rejects(
        deleteRepository(ports, REPOSITORY),
        { message: 'killed in the middle' },
        `step ${step}`,
      )
      t.equal(await index.repositories.findRepository(REPOSITORY), undefined, 'it is not found')
      const page = { limit: 10, after: '' }
      t.same(await index.visibleRepositories.listRepositories({ kind: 'all' }, page), [], 'nor listed')
      t.equal(await index.deletions.isBeingDeleted(REPOSITORY), true)
      registry[when] = () => undefined
      await deleteRepository(ports, REPOSITORY)
      t.same([...registry.manifests, ...registry.tags, ...registry.blobs], [], 'nothing is left')
      t.equal(await index.deletions.isBeingDeleted(REPOSITORY), false)
    }
  })
}
