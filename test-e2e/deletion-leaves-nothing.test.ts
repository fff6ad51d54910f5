import { randomBytes } from 'node:crypto'
import type { Test } from 'tap'
import t from 'tap'
import type { Made } from './harness/manifests.ts'
import { MEDIA_TYPES, digestOf, makeImage, makeIndex, randomLayer } from './harness/manifests.ts'
import { createRegistryClient } from './harness/registry-client.ts'
import { basic, startSystem } from './harness/system.ts'

/* Deleted content is gone for all users, immediately, and also for the next owner of the repository's name. */

const system = await startSystem(t)
const jane = createRegistryClient(system.url, basic(await system.createUser('jane', ['team'])))
const next = createRegistryClient(system.url, basic(await system.createUser('next', ['team', 'other'])))
const admin = createRegistryClient(system.url, basic(system.admin))
const API = '/image-manager/api/v1/repositories'

const headBlob = async (client: typeof jane, repository: string, digest: string) =>
  (await client.send('HEAD', `/v2/${repository}/blobs/${digest}`)).status
const blobsOf = ({ blobs }: Made) => blobs.map((blob) => digestOf(blob))
const remove = async (repository: string) => (await jane.send('DELETE', `${API}/${repository}`)).status
const removeManifest = async (repository: string, reference: string) =>
  jane.send('DELETE', `/v2/${repository}/manifests/${reference}`)

/** Neither the old owner nor the next one can get a blob in any way. */
async function checkGone(t: Test, repository: string, digests: readonly string[]) {
  for (const client of [jane, next, admin]) {
    for (const digest of digests) {
      t.equal(await headBlob(client, repository, digest), 404, `${digest} cannot be read`)
    }
  }
  for (const digest of digests) {
    const mount = `/v2/other/taken/blobs/uploads/?mount=${digest}&from=${repository}`
    t.equal((await next.send('POST', mount)).status, 202, `${digest} cannot be mounted`)
  }
}

t.test('the deletion of an image by digest deletes its blobs, except for shared ones', async (t) => {
  const shared = randomLayer()
  const [one, two] = [makeImage({ layers: [shared, randomLayer()] }), makeImage({ layers: [shared] })]
  await jane.push('team/shared', one, 'one')
  await jane.push('team/shared', two, 'two')
  t.equal((await removeManifest('team/shared', one.descriptor.digest)).status, 202)
  const kept = digestOf(shared[1])
  await checkGone(
    t,
    'team/shared',
    blobsOf(one).filter((digest) => digest !== kept),
  )
  for (const digest of blobsOf(two)) t.equal(await headBlob(jane, 'team/shared', digest), 200)
  t.equal((await removeManifest('team/shared', two.descriptor.digest)).status, 202)
  await checkGone(t, 'team/shared', [kept])
})

t.test('after the last image is deleted the repository is empty, and it can be deleted once', async (t) => {
  const image = makeImage()
  await jane.push('team/empty', image, 'only')
  t.equal((await removeManifest('team/empty', image.descriptor.digest)).status, 202)
  const list = await jane.send('GET', '/v2/team/empty/tags/list')
  t.strictSame([list.status, list.json], [200, { name: 'team/empty', tags: [] }])
  const catalog = await jane.send('GET', '/v2/_catalog?n=1000')
  t.ok(catalog.json.repositories.includes('team/empty'), 'the empty repository is in the catalog')
  t.equal((await jane.send('GET', `${API}/team/empty`)).status, 200)
  t.equal(await remove('team/empty'), 200)
  t.equal(await remove('team/empty'), 404, 'a second deletion is 404')
  t.equal((await jane.send('GET', '/v2/team/empty/tags/list')).status, 404)
  await checkGone(t, 'team/empty', blobsOf(image))
})

t.test('a repository without manifests can be deleted with its uploaded and mounted blobs', async (t) => {
  const blob = randomBytes(300)
  const other = await jane.pushBlob('team/source', randomBytes(300))
  const wide = await jane.pushBlob('team/blobs', randomBytes(300), 'sha512')
  const digests = [await jane.pushBlob('team/blobs', blob), other, wide]
  const mounted = await jane.send('POST', `/v2/team/blobs/blobs/uploads/?mount=${other}&from=team/source`)
  t.equal(mounted.status, 201)
  for (const digest of digests) t.equal(await headBlob(jane, 'team/blobs', digest), 200)
  t.equal(
    (await jane.send('GET', '/v2/team/blobs/tags/list')).status,
    404,
    'the repository never had a manifest',
  )
  t.equal(await remove('team/blobs'), 200)
  t.equal(await remove('team/blobs'), 404, 'a second deletion is 404')
  await checkGone(t, 'team/blobs', digests)
  t.equal(
    await headBlob(jane, 'team/source', other),
    200,
    'the source repository of the mount still has the blob',
  )
})

t.test('orphaned blobs are deleted with their repository', async (t) => {
  await jane.push('team/mixed', makeImage(), 'v1')
  const lonely = await jane.pushBlob('team/mixed', randomBytes(300))
  t.equal(await remove('team/mixed'), 200)
  await checkGone(t, 'team/mixed', [lonely])
})

/** Pushes BuildKit's registry cache: an index whose `manifests` are layers and a cache config. */
async function pushCache(repository: string) {
  const blobs = [randomBytes(200), randomBytes(200)]
  for (const blob of blobs) await jane.pushBlob(repository, blob)
  const layer = { mediaType: MEDIA_TYPES.layer }
  const manifests = blobs.map((blob) => ({ ...layer, digest: digestOf(blob), size: blob.length }))
  const bytes = Buffer.from(JSON.stringify({ schemaVersion: 2, mediaType: MEDIA_TYPES.index, manifests }))
  const headers = { 'content-type': MEDIA_TYPES.index }
  const pushed = await jane.send('PUT', `/v2/${repository}/manifests/cache`, { headers, body: bytes })
  if (pushed.status !== 201) throw new Error(`the push of the cache got ${pushed.status}: ${pushed.body}`)
  return { digest: digestOf(bytes), blobs: blobs.map((blob) => digestOf(blob)) }
}

t.test('the layers of a BuildKit cache are deleted with its index and with its repository', async (t) => {
  // Pushes another image first: the first push of a cache into a new repository has a test of its own.
  await jane.push('team/cache', makeImage(), 'v1')
  const one = await pushCache('team/cache')
  for (const digest of one.blobs) t.equal(await headBlob(jane, 'team/cache', digest), 200)
  t.equal((await removeManifest('team/cache', one.digest)).status, 202)
  await checkGone(t, 'team/cache', one.blobs)
  const two = await pushCache('team/cache')
  t.equal(await remove('team/cache'), 200)
  await checkGone(t, 'team/cache', two.blobs)
})

t.test('a push after the deletion of a shared blob uploads the blob again', async (t) => {
  const image = makeImage()
  await jane.push('team/again', image, 'v1')
  t.equal((await removeManifest('team/again', image.descriptor.digest)).status, 202)
  const early = await jane.putManifest('team/again', 'v1', image)
  t.strictSame([early.status, early.code], [400, 'MANIFEST_BLOB_UNKNOWN'])
  await jane.push('team/again', image, 'v1')
  for (const digest of blobsOf(image)) t.equal(await headBlob(jane, 'team/again', digest), 200)
})

t.test('a manifest of an image index is deleted only after the index, or with force', async (t) => {
  for (const algorithm of ['sha256', 'sha512'] as const) {
    const image = makeImage({ algorithm })
    const index = makeIndex([image], { algorithm })
    const repository = `team/${algorithm}`
    await jane.push(repository, index, 'multi')
    const refused = await removeManifest(repository, image.descriptor.digest)
    t.strictSame([refused.status, refused.code], [409, 'DENIED'])
    t.match(
      refused.json.errors[0].message,
      /the image index sha256:[0-9a-f]{64} \(tag multi\) references this manifest/,
    )
    t.equal((await jane.send('GET', `/v2/${repository}/manifests/${image.descriptor.digest}`)).status, 200)
    t.equal((await removeManifest(repository, index.descriptor.digest)).status, 202)
    t.equal(
      (await removeManifest(repository, image.descriptor.digest)).status,
      202,
      'the deletion after that of the index is accepted',
    )
    await jane.push(repository, index, 'multi')
    const force = `/v2/${repository}/manifests/${image.descriptor.digest}?force=true`
    t.equal((await jane.send('DELETE', force)).status, 202, 'the forced deletion is accepted')
    t.equal(await remove(repository), 200, 'the repository is deleted with both')
  }
})

t.test('a push by digest sets the tags of its tag parameters', async (t) => {
  for (const algorithm of ['sha256', 'sha512'] as const) {
    const image = makeImage({ algorithm })
    await jane.pushContents('team/tags', image)
    const target = `/v2/team/tags/manifests/${image.descriptor.digest}`
    const put = (query: string) => {
      const headers = { 'content-type': image.descriptor.mediaType }
      return jane.send('PUT', `${target}?${query}`, { headers, body: image.bytes })
    }
    const pushed = await put(`tag=${algorithm}-a&tag=${algorithm}-b`)
    t.equal(pushed.status, 201)
    t.equal(pushed.headers['oci-tag'], `${algorithm}-a, ${algorithm}-b`)
    for (const tag of ['a', 'b']) {
      const got = await jane.send('GET', `/v2/team/tags/manifests/${algorithm}-${tag}`)
      t.ok(got.body.equals(image.bytes))
    }
    const invalid = await put('tag=good&tag=not%20good')
    t.strictSame([invalid.status, invalid.code], [400, 'TAG_INVALID'])
    const many = [...Array(11).keys()].map((number) => `tag=t${number}`).join('&')
    t.equal((await put(many)).status, 414)
    t.equal((await jane.send('HEAD', '/v2/team/tags/manifests/good')).status, 404, 'no tag was set')
    t.equal((await put(many.slice(0, many.lastIndexOf('&')))).status, 201, 'ten tags are accepted')
  }
  const image = makeImage()
  const index = makeIndex([makeImage({ algorithm: 'sha512' })], { algorithm: 'sha512' })
  await jane.pushContents('team/tags', index)
  const headers = { 'content-type': index.descriptor.mediaType }
  const target = `/v2/team/tags/manifests/${index.descriptor.digest}?tag=kept-a&tag=kept-b`
  t.equal(
    (await jane.send('PUT', target, { headers, body: index.bytes })).headers['oci-tag'],
    'kept-a, kept-b',
    'both tags are set',
  )
  for (const tag of ['kept-a', 'kept-b']) {
    t.ok(
      (await jane.send('GET', `/v2/team/tags/manifests/${tag}`)).body.equals(index.bytes),
      'tags of index-only manifests are set',
    )
  }
  const wrong = `/v2/team/tags/manifests/${image.descriptor.digest}?tag=wrong`
  t.equal((await jane.send('PUT', wrong, { headers, body: index.bytes })).code, 'DIGEST_INVALID')
})
