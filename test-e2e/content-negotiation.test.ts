import t from 'tap'
import type { Made } from './harness/manifests.ts'
import { MEDIA_TYPES, makeImage, makeIndex } from './harness/manifests.ts'
import { createRegistryClient } from './harness/registry-client.ts'
import { basic, startSystem } from './harness/system.ts'

/*
 * RFC 9110 §12.5.1; OCI distribution-spec 1.1, "Pulling manifests". The conversion of manifest lists for docker:
 * distribution's GetManifest.
 */

const system = await startSystem(t)
const client = createRegistryClient(system.url, basic(await system.createUser('jane', ['team'])))
const { manifest, index, dockerManifest, dockerList } = MEDIA_TYPES
const SCHEMA_1 = 'application/vnd.docker.distribution.manifest.v1+prettyjws'

const dockerChildren = [
  makeImage({ mediaType: dockerManifest }),
  makeImage({ mediaType: dockerManifest }),
] as const
const list = makeIndex(dockerChildren, { mediaType: dockerList })
const withoutAmd64 = makeIndex([dockerChildren[1]], {
  mediaType: dockerList,
  fields: {
    manifests: [{ ...dockerChildren[1].descriptor, platform: { os: 'linux', architecture: 'arm64' } }],
  },
})
const pushed = {
  'oci-image': makeImage(),
  'oci-index': makeIndex([makeImage(), makeImage()]),
  'docker-image': makeImage({ mediaType: dockerManifest }),
  'docker-list': list,
  'docker-arm64-list': withoutAmd64,
}
for (const [tag, made] of Object.entries(pushed)) await client.push('team/app', made, tag)

const get = async (method: string, reference: string, accept: string) =>
  client.send(method, `/v2/team/app/manifests/${reference}`, { headers: { accept } })

const matches = async (method: string, reference: string, accept: string, made: Made) => {
  const { status, headers, body } = await get(method, reference, accept)
  const { digest, mediaType, size } = made.descriptor
  const what = `${method} ${reference}, Accept: ${accept}`
  t.equal(status, 200, what)
  t.equal(headers['content-type'], mediaType, what)
  t.equal(headers['docker-content-digest'], digest, what)
  t.equal(Number(headers['content-length']), size, what)
  if (method === 'GET') t.ok(body.equals(made.bytes), what)
}

const ACCEPTS = [
  manifest,
  index,
  `${manifest}, ${index}`,
  dockerList,
  `${dockerManifest}, ${dockerList}`,
  SCHEMA_1,
  '*/*',
  'application/json',
  'image/png;q=0.5',
  `${dockerManifest};q=0, */*`,
]

t.test('Pulling manifests: a manifest is returned as pushed for every Accept header', async () => {
  for (const [tag, made] of Object.entries(pushed)) {
    for (const accept of ACCEPTS) {
      for (const method of ['GET', 'HEAD']) {
        await matches(method, tag, accept, made)
        await matches(method, made.descriptor.digest, accept, made)
      }
    }
  }
})

t.test('Pulling manifests: an OCI image is returned to clients that accept only Docker types', async () => {
  for (const tag of ['oci-image', 'oci-index'] as const) {
    for (const accept of [dockerManifest, `${dockerManifest}, */*`, `${SCHEMA_1}, ${dockerManifest}`]) {
      for (const method of ['GET', 'HEAD']) {
        await matches(method, tag, accept, pushed[tag])
        await matches(method, pushed[tag].descriptor.digest, accept, pushed[tag])
      }
    }
  }
})

t.test('Pulling manifests: a client that accepts no manifest list gets its amd64 image by tag', async (t) => {
  for (const accept of [
    dockerManifest,
    `${manifest}, ${dockerManifest}`,
    `${dockerManifest}, ${dockerList};q=0`,
  ]) {
    for (const method of ['GET', 'HEAD']) {
      await matches(method, 'docker-list', accept, dockerChildren[0])
      await matches(method, list.descriptor.digest, accept, list)
    }
    t.equal(
      (await get('GET', 'docker-arm64-list', accept)).status,
      404,
      'a list without an amd64 image is not converted',
    )
  }
})

t.test('Pulling manifests: an invalid tag is 404, and cannot be pushed or deleted', async (t) => {
  for (const tag of ['-', '.x', 'a%20tag', 'a+tag', 'x'.repeat(129)]) {
    for (const method of ['GET', 'HEAD', 'DELETE']) {
      const { status, code } = await client.send(method, `/v2/team/app/manifests/${tag}`)
      t.equal(status, 404, `${method} ${tag} is refused`)
      if (method !== 'HEAD') t.equal(code, 'MANIFEST_UNKNOWN')
    }
    t.match(await client.putManifest('team/app', tag, pushed['oci-image']), {
      status: 400,
      code: 'TAG_INVALID',
    })
  }
})
