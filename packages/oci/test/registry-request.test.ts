import t from 'tap'
import type { ParsedRegistryRequest } from '../src/registry-request.ts'
import { parseRegistryRequest } from '../src/registry-request.ts'

const SHA256 = `sha256:${'a1'.repeat(32)}`
const SHA512 = `sha512:${'b2'.repeat(64)}`
const METHODS = ['GET', 'HEAD', 'POST', 'PUT', 'PATCH', 'DELETE', 'OPTIONS', 'TRACE', 'CONNECT', 'get', '']
const READ = ['GET', 'HEAD']

/** Every endpoint with its methods, the parsed request, and the additional fields of a PUT. */
const ROUTES: readonly (readonly [
  path: string,
  allowed: readonly string[],
  request: object,
  put?: object,
])[] = [
  ['/v2', READ, { kind: 'base' }],
  ['/v2/', READ, { kind: 'base' }],
  ['/v2/?x=y', READ, { kind: 'base' }],
  ['/v2/_catalog', READ, { kind: 'catalog' }],
  ['/v2/app/tags/list', READ, { kind: 'tags', repository: 'app' }],
  ['/v2/a/b/c/tags/list', READ, { kind: 'tags', repository: 'a/b/c' }],
  [`/v2/a/b/referrers/${SHA256}`, READ, { kind: 'referrers', repository: 'a/b', digest: SHA256 }],
  [
    '/v2/a/b/manifests/v1.0',
    [...READ, 'PUT', 'DELETE'],
    { kind: 'manifest', repository: 'a/b', reference: { tag: 'v1.0' } },
  ],
  [
    `/v2/a/b/manifests/${SHA512}`,
    [...READ, 'PUT', 'DELETE'],
    { kind: 'manifest', repository: 'a/b', reference: { digest: SHA512 } },
  ],
  [`/v2/a/b/blobs/${SHA256}`, [...READ, 'DELETE'], { kind: 'blob', repository: 'a/b', digest: SHA256 }],
  ['/v2/a/b/blobs/uploads/', ['POST'], { kind: 'upload-start', repository: 'a/b' }],
  [
    `/v2/a/b/blobs/uploads/0f3e-4_x.y=?digest=${SHA256}`,
    [...READ, 'PATCH', 'PUT', 'DELETE'],
    { kind: 'upload', repository: 'a/b', id: '0f3e-4_x.y=' },
    { digest: SHA256 },
  ],
]

/** The request, without the fields that it does not have. */
function understood(parsed: ParsedRegistryRequest): unknown {
  return 'request' in parsed ? JSON.parse(JSON.stringify(parsed.request)) : parsed
}

t.test('every endpoint accepts its own methods and lists them in Allow otherwise', async (t) => {
  for (const [path, allowed, request, put] of ROUTES) {
    for (const method of METHODS) {
      const parsed = parseRegistryRequest(method, path)
      if (allowed.includes(method)) {
        const expected = { ...request, ...(method === 'PUT' && put), method }
        t.strictSame(understood(parsed), expected, `${method} ${path}`)
      } else {
        t.match(
          parsed,
          { refused: { code: 'UNSUPPORTED', status: undefined } },
          `no "${method}" ${path}: 405`,
        )
        t.same('allow' in parsed && parsed.allow?.toSorted(), allowed.toSorted(), 'the allowed are named')
      }
    }
  }
})

t.test('a repository name may contain words of the API', async (t) => {
  const cases = [
    ['/v2/tags/tags/list', { kind: 'tags', repository: 'tags' }],
    ['/v2/a/tags/list/tags/list', { kind: 'tags', repository: 'a/tags/list' }],
    ['/v2/a/manifests/tags/list', { kind: 'tags', repository: 'a/manifests' }],
    ['/v2/a/manifests/manifests/x', { kind: 'manifest', repository: 'a/manifests', reference: { tag: 'x' } }],
    [
      '/v2/a/blobs/uploads/manifests/x',
      { kind: 'manifest', repository: 'a/blobs/uploads', reference: { tag: 'x' } },
    ],
    [`/v2/a/blobs/uploads/blobs/${SHA256}`, { kind: 'blob', repository: 'a/blobs/uploads', digest: SHA256 }],
    [`/v2/a/blobs/blobs/${SHA256}`, { kind: 'blob', repository: 'a/blobs', digest: SHA256 }],
    ['/v2/blobs/uploads/blobs/uploads/tags', { kind: 'upload', repository: 'blobs/uploads', id: 'tags' }],
    ['/v2/list/manifests/list', { kind: 'manifest', repository: 'list', reference: { tag: 'list' } }],
    [`/v2/referrers/referrers/${SHA256}`, { kind: 'referrers', repository: 'referrers', digest: SHA256 }],
  ] as const
  for (const [path, request] of cases) {
    t.strictSame(understood(parseRegistryRequest('GET', path)), { ...request, method: 'GET' }, path)
  }
})

t.test('the colon of a digest may be escaped', async (t) => {
  for (const colon of ['%3A', '%3a']) {
    const digest = SHA256.replace(':', colon)
    t.match(parseRegistryRequest('GET', `/v2/a/blobs/${digest}`), { request: { digest: SHA256 } })
    t.match(parseRegistryRequest('GET', `/v2/a/referrers/${digest}`), { request: { digest: SHA256 } })
    t.match(parseRegistryRequest('PUT', `/v2/a/manifests/${digest}`), {
      request: { reference: { digest: SHA256 } },
    })
  }
})

t.test(
  'no manifest can have an invalid tag: reading one is MANIFEST_UNKNOWN, pushing one TAG_INVALID',
  async (t) => {
    for (const tag of ['.x', '-x', 'a%20tag', 'a+b', '', 'a%2Fb', '%00', 'x'.repeat(129)]) {
      for (const [method, code] of [
        ['GET', 'MANIFEST_UNKNOWN'],
        ['HEAD', 'MANIFEST_UNKNOWN'],
        ['DELETE', 'MANIFEST_UNKNOWN'],
        ['PUT', 'TAG_INVALID'],
      ] as const) {
        const parsed = parseRegistryRequest(method, `/v2/a/manifests/${tag}`)
        t.match(parsed, { refused: { code } }, `${method} ${JSON.stringify(tag)}: ${code}`)
      }
    }
  },
)

t.test('an invalid request gets the error code of the specification', async (t) => {
  const cases = [
    ['GET', '/v2/A/tags/list', 'NAME_INVALID'],
    ['GET', '/v2/tags/list', 'NAME_INVALID'],
    ['GET', '/v2/a/manifests/sha256:abc', 'DIGEST_INVALID'],
    ['GET', '/v2/a/blobs/latest', 'DIGEST_INVALID'],
    ['GET', '/v2/a/referrers/sha256:abc', 'DIGEST_INVALID'],
    ['PATCH', '/v2/a/blobs/uploads/.', 'BLOB_UPLOAD_UNKNOWN'],
    ['PATCH', `/v2/a/blobs/uploads/${'x'.repeat(129)}`, 'BLOB_UPLOAD_UNKNOWN'],
    ['PUT', '/v2/a/blobs/uploads/x', 'DIGEST_INVALID'],
    ['PUT', '/v2/a/blobs/uploads/x?digest=sha256:abc', 'DIGEST_INVALID'],
    ['GET', '/v2/_catalog?n=x', 'PAGINATION_NUMBER_INVALID'],
  ] as const
  for (const [method, target, code] of cases) {
    t.match(parseRegistryRequest(method, target), { refused: { code } }, `${method} ${target}: ${code}`)
  }
})
