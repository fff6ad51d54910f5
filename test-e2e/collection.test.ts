import { randomBytes } from 'node:crypto'
import { existsSync, globSync, statSync } from 'node:fs'
import { join } from 'node:path'
import { until } from '@registry-manager/testing/until'
import t from 'tap'
import type { Made } from './harness/manifests.ts'
import { digestOf, makeImage, makeIndex, randomLayer } from './harness/manifests.ts'
import { createRegistryClient } from './harness/registry-client.ts'
import { basic, startSystem } from './harness/system.ts'

/* Deleted data leaves the disk by itself, while the system serves. */

const env = { GC_INTERVAL_SECONDS: '1', GC_GRACE_SECONDS: '2', RECONCILE_INTERVAL_SECONDS: '1' }
const system = await startSystem(t, { env: { ...env, TRASH_DAYS: '0' } })
const jane = createRegistryClient(system.url, basic(await system.createUser('jane', ['team'])))
const blobsOf = ({ dataDir }: { readonly dataDir: string }) =>
  join(dataDir, 'images/docker/registry/v2/blobs')
const BLOBS = blobsOf(system)

/** Source: distribution, registry/storage/paths.go. */
function isStored(digest: string, folder = BLOBS): boolean {
  const [algorithm = '', hex = ''] = digest.split(':')
  return existsSync(join(folder, algorithm, hex.slice(0, 2), hex, 'data'))
}

/** The bytes of all blobs on the disk. */
function storedBytes(): number {
  return globSync('*/*/*/data', { cwd: BLOBS }).reduce(
    (sum, file) => sum + statSync(join(BLOBS, file)).size,
    0,
  )
}

const digestsOf = ({ descriptor, blobs }: Made) => [descriptor.digest, ...blobs.map((blob) => digestOf(blob))]
const bytesOf = (digests: ReadonlyMap<string, number>) =>
  [...digests.values()].reduce((sum, size) => sum + size, 0)
const sizesOf = (...images: readonly Made[]) =>
  new Map(
    images.flatMap(({ bytes, blobs }) =>
      [bytes, ...blobs].map((blob) => [digestOf(blob), blob.length] as const),
    ),
  )
const gone = (digests: readonly string[]) =>
  until(() => !digests.some((digest) => isStored(digest)), `${digests} leave the disk`)
const removeManifest = async (repository: string, digest: string) =>
  (await jane.send('DELETE', `/v2/${repository}/manifests/${digest}`)).status

t.test('the data of a deleted image leaves the disk, and a shared layer stays', async (t) => {
  const shared = randomLayer(5000)
  const kept = makeImage({ layers: [shared] })
  const removed = makeImage({ layers: [shared, randomLayer(100_000)] })
  await jane.push('team/app', kept, 'kept')
  await jane.push('team/app', removed, 'removed')
  await jane.push('team/copy', kept, 'kept')
  t.equal(storedBytes(), bytesOf(sizesOf(kept, removed)))
  t.equal(await removeManifest('team/app', removed.descriptor.digest), 202)
  const unused = digestsOf(removed).filter((digest) => digest !== digestOf(shared[1]))
  await gone(unused)
  t.equal(storedBytes(), bytesOf(sizesOf(kept)), 'exactly the reachable data is stored')
  for (const repository of ['team/app', 'team/copy'])
    for (const digest of kept.blobs.map((blob) => digestOf(blob))) {
      const { status, body } = await jane.send('GET', `/v2/${repository}/blobs/${digest}`)
      t.strictSame([status, digestOf(body)], [200, digest])
    }

  for (const digest of unused.slice(1))
    t.equal((await jane.send('HEAD', `/v2/team/app/blobs/${digest}`)).status, 404)
  await jane.push('team/app', removed, 'again')
  for (const digest of digestsOf(removed)) t.ok(isStored(digest), 'it is stored again')
  const { status, body } = await jane.send('GET', `/v2/team/app/manifests/again`)
  t.strictSame([status, digestOf(body)], [200, removed.descriptor.digest])
})

t.test('a deleted repository leaves the disk, with an image index, and sha512 content', async (t) => {
  const children = [makeImage(), makeImage()]
  const index = makeIndex(children)
  await jane.push('team/whole', index, 'index')
  const long = randomBytes(2000)
  const sha512 = await jane.pushBlob('team/whole', long, 'sha512')
  t.ok(isStored(digestOf(long)), 'the registry stores it under its sha256')
  t.equal((await jane.send('GET', `/v2/team/whole/blobs/${sha512}`)).status, 200)
  const deleted = await jane.send('DELETE', '/image-manager/api/v1/repositories/team/whole')
  t.equal(deleted.status, 200)
  await gone([index.descriptor.digest, ...children.flatMap(digestsOf), digestOf(long)])
})

t.test('pushes of the same image go on while its data is removed again and again', async (t) => {
  const image = makeImage({ layers: [randomLayer(3000), randomLayer(3000)] })
  for (let round = 0; round < 6; round += 1) {
    await jane.push('team/same', image, 'v1')
    for (const blob of image.blobs) {
      const { status, body } = await jane.send('GET', `/v2/team/same/blobs/${digestOf(blob)}`)
      t.strictSame([status, body.equals(blob)], [200, true], `round ${round}`)
    }
    t.equal(await removeManifest('team/same', image.descriptor.digest), 202)
    // Some pushes come before, some during and some after the removal.
    if (round % 2 === 0) await gone(digestsOf(image))
    else await new Promise((resolve) => setTimeout(resolve, 700 * round))
  }
  await gone(digestsOf(image))
})

t.test('the data of content in the trash stays on the disk until its entry is purged', async (t) => {
  const other = await startSystem(t, { env })
  const client = createRegistryClient(other.url, basic(other.admin))
  const [image, control] = [makeImage({ layers: [randomLayer(3000)] }), makeImage()]
  const remove = async (name: string, { descriptor }: Made) =>
    t.equal((await client.send('DELETE', `/v2/${name}/manifests/${descriptor.digest}`)).status, 202)
  const findEntry = async (name: string) =>
    (await client.send('GET', '/namespaces/team/trash')).json.items.find(
      ({ repository }: { repository: string }) => repository === name,
    ).id as string
  const purge = async (name: string) =>
    client.send('DELETE', `/namespaces/team/trash/${await findEntry(name)}`)
  const isThere = (digest: string) => isStored(digest, blobsOf(other))
  await client.push('team/kept', image, 'v1')
  await client.push('team/control', control, 'v1')
  await remove('team/kept', image)
  await remove('team/control', control)
  await purge('team/control')
  await until(() => !digestsOf(control).some(isThere), 'the purged image leaves the disk')
  for (const digest of digestsOf(image)) t.ok(isThere(digest), `${digest} is in the trash`)

  const restored = await client.send('POST', `/namespaces/team/trash/${await findEntry('team/kept')}/restore`)
  t.equal(restored.status, 200)
  for (const blob of image.blobs) {
    const { body } = await client.send('GET', `/v2/team/kept/blobs/${digestOf(blob)}`)
    t.ok(body.equals(blob))
  }
  await remove('team/kept', image)
  await purge('team/kept')
  await until(() => !digestsOf(image).some(isThere), 'the image leaves the disk after its purge')
})
