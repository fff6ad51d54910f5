import { randomBytes } from 'node:crypto'
import t from 'tap'
import { MEDIA_TYPES, digestOf, makeImage, makeIndex } from './harness/manifests.ts'
import { createRegistryClient } from './harness/registry-client.ts'
import { basic, startSystem } from './harness/system.ts'

/* OCI distribution-spec 1.1, "Pull". */

const system = await startSystem(t)
const client = createRegistryClient(system.url, basic(await system.createUser('jane', ['team'])))
const REPOSITORY = 'team/pulled'

const blob = randomBytes(2048)
const image = makeImage({ layers: [[MEDIA_TYPES.layer, blob]] })
const index = makeIndex([image])
await client.push(REPOSITORY, index, 'index')
await client.push(REPOSITORY, image, 'image')

const there = [
  ['a manifest by tag', 'manifests/image', image.bytes, image.descriptor],
  ['a manifest by digest', `manifests/${image.descriptor.digest}`, image.bytes, image.descriptor],
  ['an index by tag', 'manifests/index', index.bytes, index.descriptor],
  ['an index by digest', `manifests/${index.descriptor.digest}`, index.bytes, index.descriptor],
  [
    'a blob',
    `blobs/${digestOf(blob)}`,
    blob,
    { mediaType: 'application/octet-stream', digest: digestOf(blob) },
  ],
] as const

t.test('Pulling manifests, Pulling blobs: existing content is returned byte for byte', async (t) => {
  for (const [what, path, bytes, { mediaType, digest }] of there) {
    const response = await client.send('GET', `/v2/${REPOSITORY}/${path}`)
    t.equal(response.status, 200, what)
    t.ok(response.body.equals(bytes), `${what}: the body has the pushed bytes`)
    t.match(
      response.headers,
      {
        'content-type': mediaType,
        'content-length': String(bytes.length),
        'docker-content-digest': digest,
      },
      what,
    )
  }
})

t.test('Pulling manifests: the response has the pushed media type without parameters', async (t) => {
  const accepts = {
    'the types of the specification': `${MEDIA_TYPES.index}, ${MEDIA_TYPES.manifest}`,
    'all types': Object.values(MEDIA_TYPES).join(','),
    anything: '*/*',
  }
  for (const [what, accept] of Object.entries(accepts)) {
    for (const { descriptor } of [image, index]) {
      const path = `/v2/${REPOSITORY}/manifests/${descriptor.digest}`
      const response = await client.send('GET', path, { headers: { accept } })
      t.match(response, { status: 200, headers: { 'content-type': descriptor.mediaType } }, what)
    }
  }
})

t.test('Checking if content exists in the registry: HEAD is 200 without a body', async (t) => {
  for (const [what, path, bytes, { mediaType, digest }] of there) {
    const response = await client.send('HEAD', `/v2/${REPOSITORY}/${path}`)
    t.equal(response.status, 200, what)
    t.equal(response.body.length, 0, `${what}: the body is empty`)
    t.match(
      response.headers,
      {
        'content-type': mediaType,
        'content-length': String(bytes.length),
        'docker-content-digest': digest,
      },
      what,
    )
  }
})

t.test('Pulling manifests, Pulling blobs, Checking if content exists: unknown content is 404', async (t) => {
  const unknown = digestOf('nobody pushed this')
  for (const [path, code] of [
    [`${REPOSITORY}/manifests/unknown`, /^MANIFEST_UNKNOWN$/],
    [`${REPOSITORY}/manifests/${unknown}`, /^MANIFEST_UNKNOWN$/],
    [`${REPOSITORY}/blobs/${unknown}`, /^BLOB_UNKNOWN$/],
    ['team/absent/manifests/image', /^(MANIFEST|NAME)_UNKNOWN$/],
    [`team/absent/manifests/${image.descriptor.digest}`, /^(MANIFEST|NAME)_UNKNOWN$/],
    [`team/absent/blobs/${digestOf(blob)}`, /^(BLOB|NAME)_UNKNOWN$/],
  ] as const) {
    t.match(await client.send('GET', `/v2/${path}`), { status: 404, code }, path)
    const head = await client.send('HEAD', `/v2/${path}`)
    t.equal(head.status, 404, `HEAD ${path}`)
    t.equal(head.body.length, 0)
  }
})

t.test('Pulling blobs: a Range request (RFC 9110) returns the requested bytes', async (t) => {
  const path = `/v2/${REPOSITORY}/blobs/${digestOf(blob)}`
  for (const [range, start, end] of [
    ['500-1499', 500, 1499],
    ['500-', 500, 2047],
    ['-500', 1548, 2047],
    ['2000-5000', 2000, 2047],
    ['0-0', 0, 0],
  ] as const) {
    const response = await client.send('GET', path, { headers: { range: `bytes=${range}` } })
    t.equal(response.status, 206, range)
    t.ok(response.body.equals(blob.subarray(start, end + 1)), `${range}: the body has the requested bytes`)
    t.equal(response.headers['content-length'], String(end + 1 - start), range)
    t.match(response.headers['content-range'], new RegExp(`^bytes ${start}-${end}/(2048|\\*)$`), range)
  }
  for (const range of ['500-0', '5000-10000', '2048-']) {
    const response = await client.send('GET', path, { headers: { range: `bytes=${range}` } })
    t.equal(response.status, 416, range)
    t.equal(
      (await client.send('GET', path)).status,
      200,
      'the next request on the connection gets a response',
    )
  }
})

t.test('Determining Support: GET /v2/ is 200 with the version header', async (t) => {
  const headers = { 'docker-distribution-api-version': 'registry/2.0' }
  for (const path of ['/v2/', '/v2']) {
    t.match(await client.send('GET', path), { status: 200, headers }, path)
  }
  const stranger = createRegistryClient(system.url, '')
  t.match(await stranger.send('GET', '/v2/'), { status: 401, code: 'UNAUTHORIZED', headers })
})
