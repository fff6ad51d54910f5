import { repositoryAccess } from '@registry-manager/oci'
import t from 'tap'
import { sendRequest } from './fixtures/send-request.ts'
import { startProxy } from './fixtures/proxy.ts'

const LIMIT = 4 * 1024 * 1024
const path = '/v2/team/app/manifests/latest'
const OCI_MANIFEST = 'application/vnd.oci.image.manifest.v1+json'
const { port, upstream, bearer } = await startProxy(t)
const authorization = bearer([repositoryAccess('team/app', 'pull', 'push')])
const bytes = Buffer.from(Array.from({ length: LIMIT + 1 }, (_, index) => (index * 31) % 256))

const put = (body: Buffer | string, headers: Record<string, string>) =>
  sendRequest(port, path, { method: 'PUT', authorization, headers, body })
const sent = () => upstream.requests.splice(0)[0]

for (const [framing, headers] of [
  ['with a length', {}],
  ['in chunks', { 'transfer-encoding': 'chunked' }],
] as const) {
  t.test(`a manifest of 4 MiB ${framing} is forwarded unchanged`, async (t) => {
    const response = await put(bytes.subarray(0, LIMIT), { ...headers, 'content-type': OCI_MANIFEST })
    t.equal(response.status, 200)
    const request = sent()
    t.ok(request?.body.equals(bytes.subarray(0, LIMIT)))
    t.equal(request?.headers['content-length'], String(LIMIT))
    t.equal(request?.headers['content-type'], OCI_MANIFEST)
  })

  t.test(`a manifest of 4 MiB and one byte ${framing} is 413`, async (t) => {
    const response = await put(bytes, { ...headers, 'content-type': OCI_MANIFEST })
    t.equal(response.status, 413)
    t.equal(response.code, 'MANIFEST_INVALID')
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
  t.test(`a manifest of type ${type} is forwarded unchanged, with its type`, async (t) => {
    // No JSON serializer writes this, so the test notices if the manifest is serialized again.
    const manifest = '{ "schemaVersion" : 2,\r\n"a":1e2, "a":"\\u0041" }\n'
    t.equal((await put(manifest, { 'content-type': type })).status, 200)
    const request = sent()
    t.equal(request?.body.toString(), manifest)
    t.equal(request?.headers['content-type'], type)
  })
}

t.test('a manifest without a type is forwarded as application/octet-stream', async (t) => {
  t.equal((await put('{}', {})).status, 200)
  const request = sent()
  t.equal(request?.body.toString(), '{}')
  t.equal(request?.headers['content-type'], 'application/octet-stream')
})

t.test('an empty manifest is forwarded: the registry decides about it', async (t) => {
  t.equal((await put('', { 'content-length': '0' })).status, 200)
  t.equal(sent()?.body.length, 0)
})

t.test('the registry gets all known manifest types in Accept if a client accepts */*', async (t) => {
  await sendRequest(port, path, { authorization, headers: { accept: '*/*' } })
  const accept = sent()?.headers.accept
  t.match(accept, OCI_MANIFEST)
  t.match(accept, 'application/vnd.oci.image.index.v1+json')
  t.match(accept, 'application/vnd.docker.distribution.manifest.v2+json')
  t.match(accept, 'application/vnd.docker.distribution.manifest.list.v2+json')
  t.notMatch(accept, /\*\/\*|manifest\.v1\+(?:pretty)?jws/)
})
