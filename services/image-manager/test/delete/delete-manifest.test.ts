import { connectPostgres } from '@registry-manager/database'
import t from 'tap'
import { deleteManifest } from '../../src/delete/delete-manifest.ts'
import { deleteTag } from '../../src/delete/delete-tag.ts'
import { deleteRepository } from '../../src/delete/delete-repositories.ts'
import { verifyManifest } from '../../src/index/verify-manifest.ts'
import { recordOrUndoPush } from '../../src/push/record-or-undo-push.ts'
import { ONE, TWO, both, one, startFilled, two } from '../fixtures/filled-repository.ts'
import {
  MANIFEST,
  REPOSITORY,
  blobsOf,
  databaseForTest,
  repositoriesOf,
} from '../fixtures/index-and-registry.ts'
import { digestOf } from '../fixtures/memory-registry.ts'

const db = await databaseForTest(t)
const blobs = new Set([ONE, TWO].flatMap(blobsOf))

t.test('nothing is deleted from the registry while the database is unavailable', async (t) => {
  const { registry } = await startFilled(db)
  const unavailable = connectPostgres('postgres://x@127.0.0.1:1/x')
  t.teardown(() => unavailable.destroy())
  const ports = { registry, ...repositoriesOf(unavailable) }
  await t.rejects(deleteTag(ports, REPOSITORY, 'one'), { code: 'ECONNREFUSED' })
  await t.rejects(deleteManifest(ports, REPOSITORY, one), { code: 'ECONNREFUSED' })
  await t.rejects(deleteRepository(ports, REPOSITORY), { code: 'ECONNREFUSED' })
  t.same(
    registry.calls.filter((call) => !call.startsWith('HEAD')),
    [],
  )
})

t.test('deleting a manifest deletes its tags', async (t) => {
  const { ports, registry, tags, manifests } = await startFilled(db)
  t.same(await deleteManifest(ports, REPOSITORY, one), { outcome: 'deleted' })
  t.same(await tags(), { both })
  t.same(await manifests(), [two, both].toSorted())
  t.notOk(registry.manifests.has(one))
  t.same(await deleteManifest(ports, REPOSITORY, one), { outcome: 'unknown' })
})

t.test('a manifest that is pushed again during its deletion stays in the index', async (t) => {
  const { ports, registry, manifests } = await startFilled(db)
  registry.after = (call) => void (call.startsWith('DELETE') && registry.push(ONE, MANIFEST))
  t.same(await deleteManifest(ports, REPOSITORY, one), { outcome: 'deleted' })
  t.ok((await manifests()).includes(one))
})

t.test(
  'a repository whose last manifest a client deletes stays, private and empty, until it is deleted',
  async (t) => {
    const { ports, index, registry, manifests } = await startFilled(db)
    const { repositories, globalScope, tags, deletions } = index
    const id = (await repositories.findRepository(REPOSITORY))?.id ?? ''
    await repositories.setScope(id, 'global')
    const [number] = (await globalScope.findGlobalMarks([REPOSITORY]))[REPOSITORY] ?? []
    for (const digest of [both, one]) await deleteManifest(ports, REPOSITORY, digest)
    t.equal((await repositories.findRepository(REPOSITORY))?.scope, 'global')
    await deleteManifest(ports, REPOSITORY, two)
    t.match(await repositories.findRepository(REPOSITORY), { id, scope: 'namespace' })
    t.same([await manifests(), await tags.listTags(id, { limit: 10, after: '' })], [[], []])
    t.equal(
      (await globalScope.listEndedGlobalScopes(7200))[String(number)],
      1,
      'tokens for the global scope are refused',
    )
    t.same([...registry.blobs], [], 'no blob is left')
    await deleteRepository(ports, REPOSITORY)
    t.equal(await repositories.findRepository(REPOSITORY), undefined)
    t.equal(await deletions.beginDeletion(REPOSITORY), undefined, 'the index knows nothing of it')
  },
)

t.test(
  'a repository whose last manifest the registry lost is removed, and its blobs stay known',
  async (t) => {
    const { ports, registry, index } = await startFilled(db)
    for (const digest of [one, two, both]) registry.manifests.delete(digest)
    for (const digest of [one, two, both]) await verifyManifest(ports, REPOSITORY, digest)
    t.equal(await index.repositories.findRepository(REPOSITORY), undefined)
    t.equal(registry.blobs.size, blobs.size, 'no blob is deleted')
    t.equal(await index.blobs.hasBlobs(REPOSITORY), true)
    await deleteRepository(ports, REPOSITORY)
    t.same([...registry.blobs], [], 'the deletion of the repository deletes them')
  },
)

t.test('deleting a manifest deletes its blobs, except those that another manifest references', async (t) => {
  const { ports, registry } = await startFilled(db)
  await deleteManifest(ports, REPOSITORY, one)
  t.same([...registry.blobs].toSorted(), blobsOf(TWO).toSorted())
  t.equal(registry.calls.filter((call) => call.startsWith('DELETE blob')).length, 2)
})

t.test('the blobs of a deleted manifest stay while a pending push references one of them', async (t) => {
  const { ports, registry, announce, index } = await startFilled(db)
  const [config = ''] = blobsOf(ONE)
  const raw = Buffer.from(
    JSON.stringify({ schemaVersion: 2, mediaType: MANIFEST, config: { digest: config } }),
  )
  const { id } = await announce(raw, null)
  const kept = [...new Set([...blobsOf(TWO), config])].toSorted()
  await deleteManifest(ports, REPOSITORY, one)
  t.same([...registry.blobs].toSorted(), kept)
  await index.pendingPushes.removePendingPush(id)
  await db
    .insertInto('pending_pushes')
    .values({ repository: REPOSITORY, digest: digestOf(raw), tag: null, media_type: MANIFEST, raw })
    .execute()
  await deleteManifest(ports, REPOSITORY, two)
  t.same(
    [...registry.blobs].toSorted(),
    kept,
    'a pending push without a list of its references keeps all blobs',
  )
})

t.test('a blob with a sha512 name stays while a manifest references it by either name', async (t) => {
  const { ports, registry, index, announce } = await startFilled(db)
  const [config = '', layer = ''] = blobsOf(ONE)
  const wide = `sha512:${'a'.repeat(128)}`
  registry.blobs.add(wide)
  registry.canonicalNames.set(wide, layer)
  const manifestOf = (digest: string) =>
    Buffer.from(
      JSON.stringify({
        schemaVersion: 2,
        mediaType: MANIFEST,
        config: { digest: config },
        layers: [{ digest }],
      }),
    )
  const push = async (raw: Buffer) => {
    const pending = await announce(raw, null)
    registry.push(raw, MANIFEST)
    await recordOrUndoPush(ports, pending)
    return pending.digest
  }
  const byWide = await push(manifestOf(wide))
  await deleteManifest(ports, REPOSITORY, one)
  t.ok(registry.blobs.has(layer), 'the registry resolves an alias that was not recorded')
  t.ok(registry.blobs.has(wide))
  await index.blobAliases.aliasBlob(REPOSITORY, wide, layer)
  await deleteManifest(ports, REPOSITORY, byWide)
  t.same([...registry.blobs].toSorted(), blobsOf(TWO).toSorted(), 'both names are deleted')
})

t.test('a manifest that an image index references is deleted only if the deletion is forced', async (t) => {
  const { ports, manifests, registry } = await startFilled(db)
  const refused = await deleteManifest(ports, REPOSITORY, one, { unlessInUse: true })
  t.same(refused, { outcome: 'in-use', by: { digest: both, tag: 'both' } })
  t.ok(registry.manifests.has(one))
  await deleteTag(ports, REPOSITORY, 'both')
  const untagged = await deleteManifest(ports, REPOSITORY, one, { unlessInUse: true })
  t.same(untagged, { outcome: 'in-use', by: { digest: both, tag: null } })
  t.same(await deleteManifest(ports, REPOSITORY, one), { outcome: 'deleted' }, 'the forced deletion')
  t.same(await deleteManifest(ports, REPOSITORY, both, { unlessInUse: true }), { outcome: 'deleted' })
  t.same(await deleteManifest(ports, REPOSITORY, two, { unlessInUse: true }), { outcome: 'deleted' })
  t.same(await manifests(), [])
})
