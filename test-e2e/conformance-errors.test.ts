import t from 'tap'
import { MEDIA_TYPES, digestOf, makeImage } from './harness/manifests.ts'
import { createRegistryClient } from './harness/registry-client.ts'
import { basic, startSystem } from './harness/system.ts'

/* OCI distribution-spec 1.1, "Error Codes", "Endpoints"; digests: OCI image-spec 1.1, descriptor.md, "Digests". */

const system = await startSystem(t)
const client = createRegistryClient(system.url, basic(await system.createUser('jane', ['team'])))
const image = makeImage()
await client.push('team/app', image, 'v1')

const hex = digestOf('').slice('sha256:'.length)
const malformedDigests = [
  'sha256:baddigeststring',
  'sha256:',
  'sha256',
  `sha256:${hex.slice(1)}`,
  `sha256:${hex}0`,
  `sha256:${hex.slice(1)}g`,
  `sha256:${hex.toUpperCase()}`,
  `SHA256:${hex}`,
  `sha512:${hex}`,
  `md5:${hex.slice(32)}`,
  `sha256:${hex}:${hex}`,
  `:${hex}`,
]

/** Every place of a digest in a request. A malformed one is 400, or 404 where it could be a tag. */
const places = [
  ['GET', 'blobs/DIGEST'],
  ['HEAD', 'blobs/DIGEST'],
  ['DELETE', 'blobs/DIGEST'],
  ['GET', 'manifests/DIGEST'],
  ['HEAD', 'manifests/DIGEST'],
  ['PUT', 'manifests/DIGEST'],
  ['DELETE', 'manifests/DIGEST'],
  ['GET', 'referrers/DIGEST'],
] as const

t.test('Error Codes: a malformed digest is 400 or 404 in every endpoint', async (t) => {
  for (const digest of malformedDigests) {
    for (const [method, place] of places) {
      // A word without a colon is a tag there, and may be pushed.
      if (method === 'PUT' && !digest.includes(':')) continue
      const put = { headers: { 'content-type': MEDIA_TYPES.manifest }, body: image.bytes }
      const path = `/v2/team/app/${place.replace('DIGEST', digest)}`
      const response = await client.send(method, path, method === 'PUT' ? put : {})
      t.ok([400, 404].includes(response.status), `${method} ${path}: ${response.status}`)
      if (method !== 'HEAD') t.match(response.code, /^[A-Z_]+$/, `${method} ${path}`)
      if (method === 'PUT' || place.startsWith('referrers'))
        t.equal(response.status, 400, `${method} ${path}`)
    }
    const location = await client.beginUpload('team/app')
    t.match(
      await client.closeUpload(location, digest, Buffer.alloc(0)),
      { status: 400, code: 'DIGEST_INVALID' },
      digest,
    )
    const mount = `/v2/team/app/blobs/uploads/?mount=${encodeURIComponent(digest)}&from=team/other`
    t.ok(
      [202, 400].includes((await client.send('POST', mount)).status),
      `a mount of ${digest} starts an upload or is refused`,
    )
  }
  t.strictSame(
    (await client.send('GET', '/v2/team/app/tags/list')).json.tags,
    ['v1'],
    'no request changed anything',
  )
})

t.test('Error Codes: an upload closed without a digest is 400', async (t) => {
  const location = await client.beginUpload('team/app')
  t.match(await client.send('PUT', location), { status: 400, code: 'DIGEST_INVALID' })
})

t.test('Error Codes: an unknown upload is 404', async (t) => {
  for (const id of ['0b4f6b5a-0000-4000-8000-000000000000', 'nothing']) {
    for (const method of ['GET', 'PATCH', 'PUT', 'DELETE']) {
      const path = `/v2/team/app/blobs/uploads/${id}?digest=${digestOf('')}`
      t.match(
        await client.send(method, path),
        { status: 404, code: 'BLOB_UPLOAD_UNKNOWN' },
        `${method} ${id}`,
      )
    }
  }
})

t.test('Error Codes: an invalid repository name is 400 or 404', async (t) => {
  for (const name of [
    'team/App',
    'team//app',
    'team/-app',
    'team/app_',
    'team/a..b',
    'team/a___b',
    'team/ap%20p',
  ]) {
    for (const path of ['manifests/v1', `blobs/${digestOf('')}`, 'tags/list', `referrers/${digestOf('')}`]) {
      const response = await client.send('GET', `/v2/${name}/${path}`)
      t.ok([400, 404].includes(response.status), `${name}: ${response.status}`)
      t.equal(response.code, 'NAME_INVALID', name)
    }
    const begin = await client.send('POST', `/v2/${name}/blobs/uploads/`)
    t.match(begin, { status: /^40[04]$/, code: 'NAME_INVALID' }, `POST ${name}`)
  }
  const long = `team/${'a'.repeat(224)}`
  t.equal(
    (await client.push(long, makeImage())).status,
    201,
    'the longest name that clients send is accepted',
  )
  const longer = await client.send('GET', `/v2/team/${'a'.repeat(251)}/tags/list`)
  t.match(longer, { status: /^40[04]$/, code: 'NAME_INVALID' }, 'a name of 256 characters is refused')
})

t.test('Endpoints: an unsupported method is 405 with an Allow header', async (t) => {
  for (const [method, path, allow] of [
    ['POST', '/v2/team/app/manifests/v1', 'GET, HEAD, PUT, DELETE'],
    ['PUT', `/v2/team/app/blobs/${digestOf('')}`, 'GET, HEAD, DELETE'],
    ['DELETE', '/v2/team/app/tags/list', 'GET, HEAD'],
    ['PUT', `/v2/team/app/referrers/${digestOf('')}`, 'GET, HEAD'],
    ['GET', '/v2/team/app/blobs/uploads/', 'POST'],
    ['POST', '/v2/', 'GET, HEAD'],
  ] as const) {
    const response = await client.send(method, path)
    t.match(response, { status: 405, code: 'UNSUPPORTED', headers: { allow } }, `${method} ${path}`)
  }
})

t.test('Error Codes: an error has the documented form', async (t) => {
  for (const path of [
    'team/app/manifests/none',
    'team/none/tags/list',
    `team/app/blobs/${digestOf('x')}`,
    'other/app/tags/list',
  ]) {
    const { status, headers, json } = await client.send('GET', `/v2/${path}`)
    t.ok(status >= 400 && status < 500, path)
    t.match(headers['content-type'], /^application\/json/)
    t.match(json, { errors: [{ code: /^[A-Z_]+$/, message: /^./ }] }, path)
    t.strictSame(Object.keys(json), ['errors'])
  }
})
