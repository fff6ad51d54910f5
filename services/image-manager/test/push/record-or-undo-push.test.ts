import t from 'tap'
import { recordOrUndoPush } from '../../src/push/record-or-undo-push.ts'
import { deleteRepository } from '../../src/delete/delete-repositories.ts'
import {
  INDEX,
  MANIFEST,
  REPOSITORY,
  blobsOf,
  databaseForTest,
  image,
  indexOf,
  startIndex,
} from '../fixtures/index-and-registry.ts'
import { digestOf } from '../fixtures/memory-registry.ts'

const db = await databaseForTest(t)
const [OLD, NEW] = [image('old'), image('new')]

/** A repository with one image; the next image shares its layer `shared`. */
async function startFilled() {
  const started = await startIndex(db)
  const { ports, registry, announce } = started
  const pending = await announce(OLD, 'old')
  for (const digest of [OLD, NEW].flatMap(blobsOf)) registry.blobs.add(digest)
  registry.push(OLD, MANIFEST, 'old')
  t.ok(await recordOrUndoPush(ports, pending), 'the first push of a repository is recorded')
  return started
}

t.test('a push is undone if its repository and blobs are deleted before it is recorded', async (t) => {
  const { ports, registry, index, announce, manifests, pendingPushes } = await startFilled()
  const pending = await announce(NEW, 'new')
  registry.push(NEW, MANIFEST, 'new')
  await deleteRepository(ports, REPOSITORY)
  t.equal(await recordOrUndoPush(ports, pending), undefined)
  t.same([await manifests(), await pendingPushes()], [[], 0])
  t.same([...registry.manifests, ...registry.tags], [], 'the registry has no manifest and no tag left')
  t.equal(await index.repositories.findRepository(REPOSITORY), undefined)
})

t.test('a push stays if its blobs exist although the repository was deleted', async (t) => {
  const { ports, registry, announce, tags } = await startFilled()
  const pending = await announce(NEW, 'new')
  registry.push(NEW, MANIFEST, 'new')
  await deleteRepository(ports, REPOSITORY)
  for (const digest of blobsOf(NEW)) registry.blobs.add(digest)
  t.equal((await recordOrUndoPush(ports, pending))?.digest, digestOf(NEW))
  t.same(await tags(), { new: digestOf(NEW) })
})

t.test(
  'a push stays if it references only layers with urls although the repository was deleted',
  async (t) => {
    const { ports, registry, announce, manifests } = await startFilled()
    const layers = [
      { mediaType: 'x/foreign', digest: digestOf(OLD), size: 1, urls: ['https://layers.test/1'] },
    ]
    const raw = Buffer.from(JSON.stringify({ schemaVersion: 2, mediaType: MANIFEST, layers }))
    const pending = await announce(raw, 'foreign')
    registry.push(raw, MANIFEST, 'foreign')
    await deleteRepository(ports, REPOSITORY)
    t.equal((await recordOrUndoPush(ports, pending))?.digest, digestOf(raw))
    t.same(await manifests(), [digestOf(raw)])
  },
)

t.test('the push of an image index is undone if its images were deleted', async (t) => {
  const { ports, registry, announce, manifests } = await startFilled()
  const both = indexOf(OLD)
  const pending = await announce(both, 'index', INDEX)
  registry.push(both, INDEX, 'index')
  await deleteRepository(ports, REPOSITORY)
  t.equal(await recordOrUndoPush(ports, pending), undefined)
  t.same([...registry.manifests], [])
  t.same(await manifests(), [])
})

t.test('recording a push looks up no blobs if the repository was not deleted', async (t) => {
  const { ports, registry, announce } = await startFilled()
  const pending = await announce(NEW, 'new')
  registry.push(NEW, MANIFEST, 'new')
  registry.calls.splice(0)
  t.ok(await recordOrUndoPush(ports, pending))
  t.notOk(registry.calls.some((call) => call.includes('blob')))
})

const blob = (text: string) => digestOf(Buffer.from(text))
const cacheOf = (...types: readonly string[]) =>
  Buffer.from(
    JSON.stringify({
      schemaVersion: 2,
      mediaType: INDEX,
      manifests: types.map((mediaType) => ({ mediaType, digest: blob(mediaType), size: 1 })),
    }),
  )

t.test(
  'the first push of a BuildKit cache is recorded, and its blobs are deleted with the repository',
  async (t) => {
    const { ports, registry, announce, manifests } = await startIndex(db)
    const types = ['application/vnd.oci.image.layer.v1.tar+gzip', 'application/vnd.buildkit.cacheconfig.v0']
    const raw = cacheOf(...types)
    const pending = await announce(raw, 'buildcache', INDEX)
    for (const type of types) registry.blobs.add(blob(type))
    registry.push(raw, INDEX, 'buildcache')
    registry.calls.splice(0)
    t.equal((await recordOrUndoPush(ports, pending))?.digest, digestOf(raw))
    for (const type of types)
      t.notOk(registry.calls.includes(`HEAD manifest ${blob(type)}`), `${type} is looked up as a blob`)
    await deleteRepository(ports, REPOSITORY)
    t.same([await manifests(), [...registry.manifests.keys()], [...registry.blobs]], [[], [], []])
  },
)

t.test('an image index that references a blob as a manifest is recorded', async (t) => {
  const { ports, registry, announce } = await startIndex(db)
  const raw = cacheOf(MANIFEST)
  const pending = await announce(raw, 'v1', INDEX)
  registry.push(raw, INDEX, 'v1')
  // distribution has the digest as a blob, and responds 500 to its request as a manifest.
  const hasManifest = async () => true
  t.equal(
    (await recordOrUndoPush({ ...ports, registry: { ...registry, hasManifest } }, pending))?.digest,
    digestOf(raw),
  )
})
