import t from 'tap'
import { toResponseHeaders } from '../src/response-headers.ts'
import { bindUpload } from '../src/upload-binding.ts'
import { DIGEST, requests } from './fixtures/requests.ts'

const SECRET = 'secret'
const REGISTRY = new URL('http://registry:5000')
const toHeaders = (headers: Record<string, string | string[]>) =>
  toResponseHeaders(headers, {
    registryUrl: REGISTRY,
    registryRequest: requests.blob(),
    principal: { uid: 'uid-alice', access: [] },
    uploadSecret: SECRET,
  })
const toLocation = (location: string) => toHeaders({ location })['location']

const PASSED_ON = {
  'accept-ranges': 'bytes',
  'cache-control': 'max-age=31536000',
  'content-length': '12',
  'content-range': 'bytes 0-11/24',
  'content-type': 'application/octet-stream',
  'docker-content-digest': DIGEST,
  'docker-distribution-api-version': 'registry/2.0',
  'docker-upload-uuid': 'upload-1',
  etag: `"${DIGEST}"`,
  'last-modified': 'Sat, 21 Nov 2026 00:00:00 GMT',
  'oci-chunk-min-length': '5',
  range: '0-11',
  'retry-after': '3',
}

t.test(
  'headers of the registry API are passed on, and caches that are shared may not keep the answer',
  async (t) => {
    t.same(toHeaders(PASSED_ON), { ...PASSED_ON, 'cache-control': 'private, max-age=31536000' })
    for (const cacheControl of ['private', 'no-store', 'max-age=1, private']) {
      t.same(toHeaders({ 'cache-control': cacheControl }), { 'cache-control': cacheControl })
    }
  },
)

t.test('everything else stays here', async (t) => {
  const others = {
    server: 'nginx/1.0',
    'set-cookie': ['a=b'],
    via: '1.1 cache',
    'x-content-type-options': 'nosniff',
    'x-powered-by': 'Go',
    'x-accel-redirect': '/internal',
    'access-control-allow-origin': '*',
    'alt-svc': 'h3=":443"',
    connection: 'keep-alive',
    'keep-alive': 'timeout=5',
    'proxy-authenticate': 'Basic',
    'transfer-encoding': 'chunked',
    link: '</v2/other/app/tags/list?last=x>; rel="next"',
  }
  t.same(toHeaders(others), {})
})

const uploads = '/v2/team/app/blobs/uploads'
const binding = bindUpload(SECRET, { repository: 'team/app', id: 'upload-1', uid: 'uid-alice' })

/** Location of the registry; Location for the client. */
const LOCATIONS: readonly [string, string, string][] = [
  ["an upload's is bound", `${uploads}/upload-1`, `${uploads}/upload-1?_binding=${binding}`],
  [
    "an upload's keeps the registry's state",
    `${uploads}/upload-1?_state=a-b_c%3D%3D`,
    `${uploads}/upload-1?_state=a-b_c%3D%3D&_binding=${binding}`,
  ],
  [
    "an upload's is relative, whatever it was",
    `http://registry:5000${uploads}/upload-1?_state=s`,
    `${uploads}/upload-1?_state=s&_binding=${binding}`,
  ],
  [
    'a binding from elsewhere is replaced',
    `${uploads}/upload-1?_binding=x`,
    `${uploads}/upload-1?_binding=${binding}`,
  ],
  ["a manifest's is kept", `/v2/team/app/manifests/${DIGEST}`, `/v2/team/app/manifests/${DIGEST}`],
  [
    "a blob's is made relative",
    `http://registry:5000/v2/team/app/blobs/${DIGEST}`,
    `/v2/team/app/blobs/${DIGEST}`,
  ],
  [
    "the storage's is kept to the letter",
    'https://storage.test/bucket/blob?X-Amz-Signature=a%2Fb&X=+%20',
    'https://storage.test/bucket/blob?X-Amz-Signature=a%2Fb&X=+%20',
  ],
  [
    "the storage's on the registry's host but another port is kept",
    'http://registry:9000/bucket/blob?sig=1',
    'http://registry:9000/bucket/blob?sig=1',
  ],
]

for (const [what, location, expected] of LOCATIONS) {
  t.test(`Location: ${what}`, async (t) => t.equal(toLocation(location), expected))
}

t.test('a Location that is no URL does not bring the answer down', async (t) => {
  t.same(toHeaders({ location: 'http://[', etag: '"e"' }), { etag: '"e"' })
})
