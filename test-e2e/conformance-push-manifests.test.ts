import { randomBytes } from 'node:crypto'
import t from 'tap'
import { wrongDigestOf } from './harness/blob-pushes.ts'
import type { Made } from './harness/manifests.ts'
import {
  EMPTY,
  MEDIA_TYPES,
  describe,
  digestOf,
  makeImage,
  makeIndex,
  randomLayer,
} from './harness/manifests.ts'
import { createRegistryClient, locationOf } from './harness/registry-client.ts'
import { basic, startSystem } from './harness/system.ts'

/*
 * OCI distribution-spec 1.1, "Pushing Manifests". The content of manifests: OCI image-spec 1.1, manifest.md,
 * image-index.md.
 */

const system = await startSystem(t)
const client = createRegistryClient(system.url, basic(await system.createUser('jane', ['team'])))

const artifactType = 'application/vnd.example.artifact.v1'
const elsewhere = {
  ...describe(['application/vnd.oci.image.layer.nondistributable.v1.tar+gzip', randomBytes(8)]),
  urls: ['https://store.example.com/layer'],
}
const artifact = () =>
  makeImage({ config: EMPTY, layers: [[artifactType, randomBytes(64)]], fields: { artifactType } })

const kinds: Readonly<Record<string, Made>> = {
  'an image': makeImage(),
  'an image without layers': makeImage({ layers: [] }),
  'an image in Docker’s format': makeImage({
    mediaType: MEDIA_TYPES.dockerManifest,
    config: ['application/vnd.docker.container.image.v1+json', Buffer.from('{"os":"linux"}')],
    layers: [['application/vnd.docker.image.rootfs.diff.tar.gzip', randomBytes(64)]],
  }),
  'config and layers of other types': makeImage({
    config: ['application/vnd.cncf.helm.config.v1+json', Buffer.from('{"name":"chart"}')],
    layers: [
      ['application/vnd.cncf.helm.chart.content.v1.tar+gzip', randomBytes(64)],
      ['text/plain', Buffer.from('hello')],
    ],
  }),
  'an artifact': artifact(),
  'an artifact without layers': makeImage({ config: EMPTY, layers: [EMPTY], fields: { artifactType } }),
  'a foreign layer': makeImage({
    fields: { layers: [elsewhere, describe(EMPTY)] },
    layers: [EMPTY],
  }),
  'descriptors with data': makeImage({
    layers: [EMPTY],
    fields: { layers: [{ ...describe(EMPTY), data: EMPTY[1].toString('base64') }] },
  }),
  'unknown fields': makeImage({ fields: { 'org.example.unknown': { deep: [1, null] } } }),
  annotations: makeImage({ fields: { annotations: { 'org.example.note': '☃ "\\ \n' } } }),
  'a large manifest': makeImage({
    fields: {
      annotations: Object.fromEntries([...Array(390).keys()].map((n) => [`large-${n}`, 'A'.repeat(10_000)])),
    },
  }),
  'an image index': makeIndex([makeImage(), makeImage()]),
  'an empty image index': makeIndex([]),
  'an image index of image indexes': makeIndex([makeIndex([makeImage()]), makeIndex([makeImage()])]),
  'an image index of artifacts': makeIndex([artifact(), artifact()], { fields: { artifactType } }),
  'Docker’s manifest list': makeIndex([makeImage({ mediaType: MEDIA_TYPES.dockerManifest })], {
    mediaType: MEDIA_TYPES.dockerList,
  }),
}

t.test('Pushing Manifests: every kind of manifest is pushed, pulled and deleted', async (t) => {
  for (const [number, [what, made]] of Object.entries(kinds).entries()) {
    const repository = `team/kind-${number}`
    const { digest, mediaType } = made.descriptor
    await client.pushContents(repository, made)
    for (const reference of [digest, 'tag']) {
      const put = await client.putManifest(repository, reference, made)
      t.match(put, { status: 201, headers: { 'docker-content-digest': digest } }, `${what}: PUT`)
      for (const path of [locationOf(put), `/v2/${repository}/manifests/${reference}`]) {
        const pulled = await client.send('GET', path)
        t.match(
          pulled,
          { status: 200, headers: { 'content-type': mediaType, 'docker-content-digest': digest } },
          what,
        )
        t.ok(pulled.body.equals(made.bytes), `${what}: byte for byte`)
      }
    }
    t.strictSame((await client.send('GET', `/v2/${repository}/tags/list`)).json.tags, ['tag'], what)
    for (const reference of ['tag', digest]) {
      const path = `/v2/${repository}/manifests/${reference}`
      t.equal((await client.send('DELETE', path)).status, 202, `${what}: DELETE ${reference}`)
      t.equal(
        (await client.send('HEAD', path)).status,
        404,
        `${what}: ${reference} is 404 after the deletion`,
      )
    }
  }
})

t.test('Pushing Manifests: a manifest is stored with its exact bytes', async (t) => {
  const made = makeImage()
  const bytes = Buffer.from(`\n${JSON.stringify(JSON.parse(made.bytes.toString()), null, 7)}\r\n\n`)
  const odd = { ...made, bytes, descriptor: describe([MEDIA_TYPES.manifest, bytes]) }
  await client.push('team/bytes', odd, 'odd')
  for (const reference of ['odd', digestOf(bytes)]) {
    t.ok((await client.send('GET', `/v2/team/bytes/manifests/${reference}`)).body.equals(bytes), reference)
  }
})

t.test('Pushing Manifests: parameters of the Content-Type are ignored', async (t) => {
  const made = makeImage()
  await client.pushContents('team/parameters', made)
  const path = '/v2/team/parameters/manifests/v1'
  const headers = { 'content-type': `${MEDIA_TYPES.manifest}; charset=utf-8` }
  t.equal((await client.send('PUT', path, { headers, body: made.bytes })).status, 201)
  t.match(await client.send('GET', path), { status: 200, headers: { 'content-type': MEDIA_TYPES.manifest } })
})

t.test('Pushing Manifests: a manifest with missing contents is MANIFEST_BLOB_UNKNOWN', async (t) => {
  for (const [what, made] of Object.entries({
    'a layer': { ...makeImage({ config: EMPTY }), blobs: [EMPTY[1]] },
    'a config': makeImage({ layers: [] }),
    'an image of an index': makeIndex([makeImage()]),
  })) {
    if (what === 'a layer') await client.pushBlob('team/missing', EMPTY[1])
    for (const reference of ['tag', made.descriptor.digest]) {
      const response = await client.putManifest('team/missing', reference, made)
      t.match(response, { status: /^40[04]$/, code: 'MANIFEST_BLOB_UNKNOWN' }, what)
      t.equal((await client.send('HEAD', `/v2/team/missing/manifests/${reference}`)).status, 404, what)
    }
  }
  t.match(await client.send('GET', '/v2/team/missing/tags/list'), { status: 404 }, 'no tag was created')
})

t.test('Pushing Manifests: an invalid manifest is 400', async (t) => {
  const image = makeImage()
  await client.push('team/bad', image, 'good')
  const json = JSON.parse(image.bytes.toString())
  const bodies: Record<string, string> = {
    nothing: '',
    'invalid JSON': '{"schemaVersion":2,',
    'a list': '[]',
    'a string': '"manifest"',
    'a media type other than the Content-Type': JSON.stringify({ ...json, mediaType: MEDIA_TYPES.index }),
    'a subject without a valid digest': JSON.stringify({
      ...json,
      subject: { mediaType: 'a/b', digest: 'sha256:1', size: 1 },
    }),
  }
  for (const [what, body] of Object.entries(bodies)) {
    const headers = { 'content-type': MEDIA_TYPES.manifest }
    const response = await client.send('PUT', '/v2/team/bad/manifests/bad', { headers, body })
    t.match(response, { status: 400, code: 'MANIFEST_INVALID' }, what)
  }
  const unnamed = wrongDigestOf(image.bytes)
  t.match(await client.putManifest('team/bad', unnamed, image), {
    status: 400,
    code: /^(DIGEST|MANIFEST)_INVALID$/,
  })
  t.equal((await client.send('HEAD', `/v2/team/bad/manifests/${unnamed}`)).status, 404)
  t.strictSame((await client.send('GET', '/v2/team/bad/tags/list')).json.tags, ['good'], 'no tag was created')
})

t.test('Pushing Manifests: a manifest of more than 4 MiB is 413', async (t) => {
  const long = makeImage({ fields: { annotations: { long: 'A'.repeat(4 << 20) } } })
  await client.pushContents('team/long', long)
  t.equal((await client.putManifest('team/long', 'long', long)).status, 413)
})

t.test('Pushing Manifests: a tag may have every allowed character and 128 of them', async (t) => {
  const image = makeImage()
  const tags = [
    'a',
    '_',
    '0',
    'A.b_c-D',
    '__--..',
    'latest',
    'v1.0.0-rc.1_x86',
    '9'.repeat(128),
    `_${'.-'.repeat(63)}Z`,
  ]
  await client.pushContents('team/tags', image)
  for (const tag of tags) {
    t.equal((await client.putManifest('team/tags', tag, image)).status, 201, tag)
    const pulled = await client.send('GET', `/v2/team/tags/manifests/${tag}`)
    t.ok(pulled.body.equals(image.bytes), tag)
  }
  const listed: string[] = (await client.send('GET', '/v2/team/tags/tags/list')).json.tags
  t.strictSame(listed, tags.toSorted())
  for (const tag of ['.a', '-a', 'a'.repeat(129), 'a+b', 'a b', 'a~', 'ä', 'a@b', 'a,b', 'a:b']) {
    for (const method of ['GET', 'HEAD', 'PUT', 'DELETE']) {
      const { status } = await client.send(method, `/v2/team/tags/manifests/${encodeURIComponent(tag)}`, {
        ...(method === 'PUT' && { body: image.bytes, headers: { 'content-type': MEDIA_TYPES.manifest } }),
      })
      t.ok([400, 404].includes(status), `${method} ${tag}: ${status}`)
    }
  }
  t.strictSame((await client.send('GET', '/v2/team/tags/tags/list')).json.tags, listed)
})

t.test('Pushing Manifests: a push moves an existing tag', async (t) => {
  const [first, second] = [makeImage({ layers: [randomLayer()] }), makeIndex([makeImage()])]
  await client.push('team/moved', first, 'tag')
  await client.push('team/moved', second, 'tag')
  t.ok((await client.send('GET', '/v2/team/moved/manifests/tag')).body.equals(second.bytes))
  const old = await client.send('GET', `/v2/team/moved/manifests/${first.descriptor.digest}`)
  t.ok(old.body.equals(first.bytes), 'the previous manifest still exists')
})
