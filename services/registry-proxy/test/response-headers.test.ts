import type { RegistryRequest } from '@registry-manager/oci'
import t from 'tap'
import { toResponseHeaders } from '../src/response-headers.ts'
import { bindUpload } from '../src/upload-binding.ts'
import { DIGEST, requests } from './fixtures/requests.ts'

const SECRET = 'secret'
const REGISTRY = new URL('http://registry:5000')
const STORAGE = ['https://storage.test', 'http://registry:9000']
const toHeaders = (
  headers: Record<string, string | string[]>,
  registryRequest: RegistryRequest = requests.blob(),
  storageOrigins: readonly string[] = STORAGE,
) =>
  toResponseHeaders(headers, {
    registryUrl: REGISTRY,
    storageOrigins,
    registryRequest,
    principal: { uid: 'uid-alice', access: [] },
    uploadSecret: SECRET,
  })
const toLocation = (location: string) => toHeaders({ location })['location']

const FORWARDED = {
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

t.test('headers of the registry API are forwarded, and Cache-Control becomes private', async (t) => {
  t.same(toHeaders(FORWARDED), { ...FORWARDED, 'cache-control': 'private, max-age=31536000' })
  for (const cacheControl of ['private', 'no-store', 'max-age=1, private']) {
    t.same(toHeaders({ 'cache-control': cacheControl }), { 'cache-control': cacheControl })
  }
})

t.test('other headers are not forwarded', async (t) => {
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

/** The registry's Location, and the client's. */
const LOCATIONS: readonly [string, string, string][] = [
  ["an upload's gets a binding", `${uploads}/upload-1`, `${uploads}/upload-1?_binding=${binding}`],
  [
    "an upload's keeps the registry's state",
    `${uploads}/upload-1?_state=a-b_c%3D%3D`,
    `${uploads}/upload-1?_state=a-b_c%3D%3D&_binding=${binding}`,
  ],
  [
    'an absolute one of an upload becomes relative',
    `http://registry:5000${uploads}/upload-1?_state=s`,
    `${uploads}/upload-1?_state=s&_binding=${binding}`,
  ],
  [
    'another binding is replaced',
    `${uploads}/upload-1?_binding=x`,
    `${uploads}/upload-1?_binding=${binding}`,
  ],
  ["a manifest's is unchanged", `/v2/team/app/manifests/${DIGEST}`, `/v2/team/app/manifests/${DIGEST}`],
  [
    'an absolute one of a blob becomes relative',
    `http://registry:5000/v2/team/app/blobs/${DIGEST}`,
    `/v2/team/app/blobs/${DIGEST}`,
  ],
  [
    "the storage's is unchanged",
    'https://storage.test/bucket/blob?X-Amz-Signature=a%2Fb&X=+%20',
    'https://storage.test/bucket/blob?X-Amz-Signature=a%2Fb&X=+%20',
  ],
  [
    "the storage's on another port of the registry's host is unchanged",
    'http://registry:9000/bucket/blob?sig=1',
    'http://registry:9000/bucket/blob?sig=1',
  ],
]

for (const [what, location, expected] of LOCATIONS) {
  t.test(`Location of a response: ${what}`, async (t) => t.equal(toLocation(location), expected))
}

const SIGNED = 'https://storage.test/bucket/blob?X-Amz-Signature=a'

t.test('no cache may store a redirect to the storage, because its Location is a signed URL', async (t) => {
  t.same(toHeaders({ location: SIGNED, 'cache-control': 'max-age=31536000' }), {
    location: SIGNED,
    'cache-control': 'no-store',
  })
})

t.test('a Location on a host that BLOB_REDIRECTS does not list is removed', async (t) => {
  t.same(toHeaders({ location: SIGNED }, requests.blob(), []), {})
  for (const location of [
    'https://storage.test:444/b',
    'http://storage.test/b',
    'https://storage.test.evil.test/b',
    'https://evil.test/storage.test/b',
    '//evil.test/b',
    'https://evil.test\\@storage.test/b',
    'https://storage.test\\@evil.test/b',
    'https://evil.test@storage.test/b',
    'ftp://storage.test/b',
  ])
    t.same(toHeaders({ location }), {}, location)
})

t.test('only a request that reads a blob is redirected to the storage', async (t) => {
  t.match(toHeaders({ location: SIGNED }, requests.blob('HEAD')), { location: SIGNED })
  for (const request of [
    requests.blob('DELETE'),
    requests.manifest(),
    requests.uploadStart(),
    requests.upload('PATCH'),
    requests.base(),
  ])
    t.same(toHeaders({ location: SIGNED }, request), {}, request.kind)
})

t.test('an invalid Location is dropped', async (t) => {
  t.same(toHeaders({ location: 'http://[', etag: '"e"' }), { etag: '"e"' })
})
