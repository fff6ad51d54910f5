import { repositoryAccess } from '@registry-manager/oci'
import t from 'tap'
import { ask } from './fixtures/ask.ts'
import { startProxy } from './fixtures/proxy.ts'

const LIMIT = 4 * 1024 * 1024
const path = '/v2/team/app/manifests/latest'
const OCI_MANIFEST = 'application/vnd.oci.image.manifest.v1+json'
const { port, upstream, bearer } = await startProxy(t)
const authorization = bearer([repositoryAccess('team/app', 'pull', 'push')])
const bytes = Buffer.from(Array.from({ length: LIMIT + 1 }, (_, index) => (index * 31) % 256))

const put = (body: Buffer | string, headers: Record<string, string>) =>
  ask(port, path, { method: 'PUT', authorization, headers, body })
const sent = () => upstream.requests.splice(0)[0]

for (const [framing, headers] of [
  ['with a length', {}],
  ['in chunks', { 'transfer-encoding': 'chunked' }],
] as const) {
  t.test(`4 MiB ${framing} come through to the byte`, async (t) => {
    const answer = await put(bytes.subarray(0, LIMIT), { ...headers, 'content-type': OCI_MANIFEST })
    t.equal(answer.status, 200)
    const request = sent()
    t.ok(request?.body.equals(bytes.subarray(0, LIMIT)))
    t.equal(request?.headers['content-length'], String(LIMIT))
    t.equal(request?.headers['content-type'], OCI_MANIFEST)
  })

  t.test(`a byte more ${framing} is too much`, async (t) => {
    const answer = await put(bytes, { ...headers, 'content-type': OCI_MANIFEST })
    t.equal(answer.status, 413)
    t.equal(answer.code, 'MANIFEST_INVALID')
    t.same(upstream.requests, [])
  })
}

const TYPES = [
  OCI_MANIFEST,
  'application/vnd.docker.distribution.manifest.v2+json',
  'application/vnd.docker.distribution.manifest.list.v2+json; charset=utf-8',
  'application/json',
  'text/plain',
  'application/x-www-form-urlencoded',
]

for (const type of TYPES) {
  t.test(`a manifest of type ${type} is sent as it is, under that type`, async (t) => {
    // Not what a JSON writer would write: nothing may write it anew.
    const manifest = '{ "schemaVersion" : 2,\r\n"a":1e2, "a":"\\u0041" }\n'
    t.equal((await put(manifest, { 'content-type': type })).status, 200)
    const request = sent()
    t.equal(request?.body.toString(), manifest)
    t.equal(request?.headers['content-type'], type)
  })
}

t.test('a manifest without a type is sent as bytes', async (t) => {
  t.equal((await put('{}', {})).status, 200)
  const request = sent()
  t.equal(request?.body.toString(), '{}')
  t.equal(request?.headers['content-type'], 'application/octet-stream')
})

t.test('an empty manifest is for the registry to judge', async (t) => {
  t.equal((await put('', { 'content-length': '0' })).status, 200)
  t.equal(sent()?.body.length, 0)
})

t.test('the registry is asked for all known manifest types when a client accepts only */*', async (t) => {
  await ask(port, path, { authorization, headers: { accept: '*/*' } })
  const accept = sent()?.headers.accept
  t.match(accept, OCI_MANIFEST)
  t.match(accept, 'application/vnd.oci.image.index.v1+json')
  t.match(accept, 'application/vnd.docker.distribution.manifest.v2+json')
  t.match(accept, 'application/vnd.docker.distribution.manifest.list.v2+json')
  t.notMatch(accept, /\*\/\*|manifest\.v1\+(?:pretty)?jws/)
})
