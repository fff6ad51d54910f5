import { randomBytes } from 'node:crypto'
import t from 'tap'
import type { Algorithm, Descriptor, Made } from './harness/manifests.ts'
import { EMPTY, MEDIA_TYPES, digestOf, makeImage, makeIndex } from './harness/manifests.ts'
import { createRegistryClient, locationOf } from './harness/registry-client.ts'
import { basic, startSystem } from './harness/system.ts'

/*
 * Image indexes whose images are named by sha512, and referrers to such digests. The registry refuses the first and
 * does not support the second. OCI distribution-spec 1.1, "Pushing Manifests", "Listing Referrers", "Content
 * Management".
 */

const system = await startSystem(t)
const jane = await system.createUser('jane', ['team'])
const client = createRegistryClient(system.url, basic(jane))

const sha512 = { algorithm: 'sha512' } as const
const pull = (repository: string, reference: string) =>
  client.send('GET', `/v2/${repository}/manifests/${reference}`)
const tagsOf = async (repository: string) =>
  (await client.send('GET', `/v2/${repository}/tags/list`)).json?.tags

/** Whether the digest of a response is that of its content, in the algorithm of that digest. */
function isNamedRight({
  headers,
  body,
}: {
  headers: Readonly<Record<string, string>>
  body: Buffer
}): boolean {
  const digest = headers['docker-content-digest'] ?? ''
  return digest === digestOf(body, digest.split(':', 1)[0] as Algorithm)
}

const artifactType = 'application/vnd.example.artifact'
const kinds: Readonly<Record<string, Made>> = {
  'an index of images': makeIndex([makeImage(sha512), makeImage(sha512)], sha512),
  'an index of an index': makeIndex([makeIndex([makeImage(sha512)], sha512)], sha512),
  'an index of both algorithms': makeIndex([makeImage(), makeImage(sha512)]),
  'an index of artifacts': makeIndex(
    [makeImage({ config: EMPTY, layers: [EMPTY], fields: { artifactType }, ...sha512 })],
    {
      fields: { artifactType },
      ...sha512,
    },
  ),
  'an index without manifests': makeIndex([], sha512),
}

t.test('Pushing Manifests: an image index of sha512 images is pushed, pulled and deleted', async (t) => {
  for (const [number, [what, made]] of Object.entries(kinds).entries()) {
    const repository = `team/kind-${number}`
    const { digest, mediaType, size } = made.descriptor
    await client.pushContents(repository, made)
    for (const reference of [digest, 'tag']) {
      const put = await client.putManifest(repository, reference, made)
      t.equal(put.status, 201, `${what}: PUT ${reference}`)
      t.ok(
        (await client.send('GET', locationOf(put))).body.equals(made.bytes),
        `${what}: the Location can be pulled`,
      )
      if (reference === digest) {
        t.equal(put.headers['docker-content-digest'], digest, what)
        t.match(locationOf(put), new RegExp(`/${digest}$`), what)
      }
    }
    for (const reference of [digest, 'tag', digestOf(made.bytes)]) {
      const pulled = await pull(repository, reference)
      t.match(pulled, { status: 200, headers: { 'content-type': mediaType } }, `${what}: ${reference}`)
      t.ok(pulled.body.equals(made.bytes), `${what}: byte for byte`)
      t.ok(isNamedRight(pulled), `${what}: ${pulled.headers['docker-content-digest']}`)
      const head = await client.send('HEAD', `/v2/${repository}/manifests/${reference}`)
      t.match(
        head,
        { status: 200, headers: { 'content-type': mediaType, 'content-length': String(size) } },
        what,
      )
    }
    t.strictSame(await tagsOf(repository), ['tag'], what)

    t.equal((await client.send('DELETE', `/v2/${repository}/manifests/tag`)).status, 202, what)
    t.equal((await pull(repository, 'tag')).status, 404, `${what}: the tag is deleted`)
    t.ok((await pull(repository, digest)).body.equals(made.bytes), `${what}: the index remains`)
    t.equal((await client.send('DELETE', `/v2/${repository}/manifests/${digest}`)).status, 202, what)
    for (const reference of [digest, digestOf(made.bytes)]) {
      t.equal(
        (await pull(repository, reference)).status,
        404,
        `${what}: ${reference} is 404 after the deletion`,
      )
    }
    for (const child of made.children) {
      t.ok(
        (await pull(repository, child.descriptor.digest)).body.equals(child.bytes),
        `${what}: the images remain`,
      )
    }
  }
})

t.test('Pushing Manifests: an image index of a missing sha512 image is MANIFEST_BLOB_UNKNOWN', async (t) => {
  const index = makeIndex([makeImage(sha512)], sha512)
  for (const reference of ['tag', index.descriptor.digest]) {
    const put = await client.putManifest('team/missing', reference, index)
    t.match(put, { status: /^40[04]$/, code: 'MANIFEST_BLOB_UNKNOWN' }, reference)
    t.equal((await pull('team/missing', reference)).status, 404)
  }
})

t.test('Pushing Manifests: a wrong sha512 digest of an image index is 400', async (t) => {
  const index = makeIndex([makeImage(sha512)], sha512)
  await client.pushContents('team/wrong', index)
  const wrong = digestOf('something else', 'sha512')
  t.match(await client.putManifest('team/wrong', wrong, index), { status: 400 })
  t.equal((await pull('team/wrong', wrong)).status, 404)
})

t.test('Pushing Manifests: a tag moves to an image index of sha512 images and back', async (t) => {
  const made = [
    makeImage(),
    makeIndex([makeImage(sha512)], sha512),
    makeIndex([makeImage()]),
    makeIndex([makeImage(sha512)]),
  ]
  for (const one of [...made, ...made.toReversed(), ...made]) {
    await client.push('team/moved', one, 'tag')
    for (const method of ['GET', 'HEAD']) {
      const response = await client.send(method, '/v2/team/moved/manifests/tag')
      t.match(response, { status: 200, headers: { 'content-type': one.descriptor.mediaType } })
      t.equal(response.headers['content-length'], String(one.bytes.length))
      if (method === 'GET')
        t.ok(response.body.equals(one.bytes) && isNamedRight(response), 'the tag names the last push')
    }
    t.strictSame(await tagsOf('team/moved'), ['tag'], 'the repository has one tag')
  }
  for (const { descriptor, bytes } of made) {
    t.ok(
      (await pull('team/moved', descriptor.digest)).body.equals(bytes),
      'the previous manifest still exists',
    )
  }
  for (const one of made.slice(0, 2)) {
    await client.putManifest('team/moved', 'tag', one)
    t.equal((await client.send('DELETE', '/v2/team/moved/manifests/tag')).status, 202)
    t.equal((await pull('team/moved', 'tag')).status, 404, 'no older manifest reappears under the tag')
    t.equal(await tagsOf('team/moved').then((tags) => tags.length), 0)
  }
})

t.test('Listing Referrers: referrers of a sha512 digest are listed', async (t) => {
  for (const subject of [makeImage(sha512), makeIndex([makeImage(sha512)], sha512)]) {
    const repository = subject.children.length > 0 ? 'team/of-index' : 'team/of-image'
    const { digest } = subject.descriptor
    const listOf = async (query = '') => {
      const { status, json } = await client.send('GET', `/v2/${repository}/referrers/${digest}${query}`)
      if (status !== 200) throw new Error(`referrers: ${status}`)
      return json.manifests as (Descriptor & { artifactType: string })[]
    }
    const attach = (artifactType: string, algorithm: Algorithm) =>
      makeImage({
        config: EMPTY,
        layers: [['application/octet-stream', randomBytes(32)]],
        fields: { artifactType, subject: subject.descriptor },
        algorithm,
      })
    const [signature, sbom] = [attach('example/signature', 'sha512'), attach('example/sbom', 'sha256')]
    t.strictSame(await listOf(), [], 'the list is empty before the first push')
    const put = await client.push(repository, signature)
    t.equal(put.headers['oci-subject'], digest, 'the OCI-Subject header names the sha512 digest')
    await client.push(repository, subject, 'v1')
    await client.push(repository, sbom)

    const all = await listOf()
    t.strictSame(all.map(({ artifactType }) => artifactType).toSorted(), [
      'example/sbom',
      'example/signature',
    ])
    for (const one of all) {
      t.equal(one.mediaType, MEDIA_TYPES.manifest)
      const { bytes } = one.artifactType === 'example/sbom' ? sbom : signature
      const pulled = await pull(repository, one.digest)
      t.ok(pulled.body.equals(bytes), 'each listed referrer can be pulled')
      t.equal(one.size, bytes.length)
    }
    t.match(await listOf('?artifactType=example/sbom'), [{ artifactType: 'example/sbom' }])
    await client.send('DELETE', `/v2/${repository}/manifests/${signature.descriptor.digest}`)
    t.match(await listOf(), [{ artifactType: 'example/sbom' }], 'a deleted referrer is not listed')
    t.equal((await listOf()).length, 1)
  }
})

t.test('Referrers Tag Schema: the tag has the first 64 characters of a sha512 digest', async (t) => {
  const [subject, signature] = [makeImage(sha512), makeImage()]
  const { digest } = subject.descriptor
  await client.push('team/older', subject)
  await client.push('team/older', makeIndex([signature]), `sha512-${digest.slice('sha512:'.length, 71)}`)
  const { json } = await client.send('GET', `/v2/team/older/referrers/${digest}`)
  t.match(json.manifests, [{ digest: signature.descriptor.digest }])
})

t.test('image management shows sha512 images and deletes them under every name', async (t) => {
  const image = makeImage(sha512)
  const index = makeIndex([image], sha512)
  await client.push('team/gone', index, 'tag')
  const api = '/image-manager/api/v1/repositories/team/gone'
  t.match((await client.send('GET', api)).json, {
    tags: [{ name: 'tag', manifest: JSON.parse(index.bytes.toString()) }],
  })
  t.ok((await client.send('GET', '/v2/_catalog')).json.repositories.includes('team/gone'))

  const names = [
    ...image.blobs.flatMap((blob) =>
      [digestOf(blob), digestOf(blob, 'sha512')].map((name) => `blobs/${name}`),
    ),
    ...[image, index].flatMap(({ bytes }) =>
      [digestOf(bytes), digestOf(bytes, 'sha512')].map((name) => `manifests/${name}`),
    ),
    'manifests/tag',
  ]
  for (const name of names)
    t.equal((await client.send('GET', `/v2/team/gone/${name}`)).status, 200, `${name} exists`)
  t.equal((await client.send('DELETE', api)).status, 200)
  const bob = createRegistryClient(system.url, basic(await system.createUser('bob', ['team'])))
  for (const isAnew of [false, true]) {
    if (isAnew) await bob.push('team/gone', makeImage(), 'anew')
    for (const name of names) {
      const { status } = await bob.send('GET', `/v2/team/gone/${name}`)
      t.equal(status, 404, `${name} is 404 for ${isAnew ? 'the next owner' : 'all users'}`)
    }
  }
})
