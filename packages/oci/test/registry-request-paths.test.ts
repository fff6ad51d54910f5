import t from 'tap'
import { describeNoEndpoint, formatRegistryError } from '../src/error-codes.ts'
import { parseRegistryRequest } from '../src/registry-request.ts'

const SHA256 = `sha256:${'a1'.repeat(32)}`
const METHODS = ['GET', 'HEAD', 'POST', 'PUT', 'PATCH', 'DELETE']

const UNKNOWN = [
  '',
  '/',
  '*',
  '/v1/',
  '/v3/',
  '/V2/',
  '/v2x',
  '/v2;',
  '/v2;x=y/_catalog',
  '/v2%2F_catalog',
  '/v2\\_catalog',
  '//v2/',
  '/./v2/',
  '/x/../v2/_catalog',
  'v2/',
  'http://registry.example/v2/',
  'http://registry.example/v2/a/manifests/latest',
  '//registry.example/v2/_catalog',
  '/v2//',
  '/v2/_catalog/',
  '/v2/_Catalog',
  '/v2/_catalog%00',
  '/v2/a',
  '/v2/a/',
  '/v2/a/tags',
  '/v2/a/tags/',
  '/v2/a/tags/list/',
  '/v2/a/tags/list/x',
  '/v2/a/tags/List',
  '/v2/a/manifests/latest/',
  '/v2/a/manifests/x/y',
  `/v2/a/blobs/${SHA256}/`,
  '/v2/a/blobs/uploads/x/',
  '/v2/a/blobs/uploads/x/y',
  '/v2/a/blobs/uploads//',
  '/v2/a/uploads/',
  '/v2/a/Manifests/latest',
  '/v2/a/manifests%2Flatest',
  '/v2/a/%6danifests/latest',
]

t.test('a path that is no endpoint is 404 for every method', async (t) => {
  for (const target of UNKNOWN) {
    for (const method of METHODS) {
      const parsed = parseRegistryRequest(method, target)
      const status = 'refused' in parsed && formatRegistryError(parsed.refused).status
      t.equal(status, 404, `${method} ${JSON.stringify(target)}`)
    }
  }
})

t.test(
  'the message for a path that is no endpoint names the path without its query, and shortens it',
  async (t) => {
    t.equal(describeNoEndpoint('GET', '/nowhere?a=b'), 'no such endpoint: GET /nowhere')
    const message = describeNoEndpoint('GET', `/${'a'.repeat(10_000)}`)
    t.match(message, /^no such endpoint: GET \/a+…$/)
    t.ok(message.length < 400)
  },
)

const HOSTILE_NAMES = [
  '..',
  '.',
  '../..',
  'a/..',
  '../a',
  'a/../b',
  'team/../other/app',
  'a/.',
  '%2e%2e',
  '%2E%2E/a',
  'a/%2e%2e/b',
  'a/.%2e/b',
  '%252e%252e/a',
  'a%2Fb',
  'a%2fb',
  'a%5Cb',
  'a\\b',
  'a\\..\\b',
  'a//b',
  '/a',
  'a/',
  '//',
  'A',
  'team/App',
  'a%00',
  '%00',
  'a\0b',
  'a%0d%0aHost:%20x',
  'a\r\nb',
  'a b',
  'a+b',
  'a%20b',
  'a;b',
  'a;v=1/b',
  'a:b',
  'a@b',
  'a,b',
  'a#b',
  'a&b',
  'a=b',
  'a~b',
  '*',
  '$(id)',
  "a'b",
  'a"b',
  'a%41',
  '%61',
  'é',
  'аpp',
  'ａ',
  'a%C0%AFb',
  'a%u002fb',
  '%',
  '%zz',
  '__proto__',
  'x'.repeat(256),
  'a/'.repeat(128),
  'a/'.repeat(100_000),
]

t.test('a path with an invalid repository name is refused', async (t) => {
  const rests = [
    'tags/list',
    'manifests/latest',
    `blobs/${SHA256}`,
    'blobs/uploads/',
    `blobs/uploads/x?digest=${SHA256}`,
    `referrers/${SHA256}`,
  ]
  for (const name of HOSTILE_NAMES) {
    const taken = rests.flatMap((rest) =>
      METHODS.filter((method) => 'request' in parseRegistryRequest(method, `/v2/${name}/${rest}`)),
    )
    t.same(taken, [], `${JSON.stringify(name.slice(0, 60))} is refused on every route`)
  }
})

const HOSTILE_ENDS = [
  'manifests/..',
  'manifests/%2e%2e',
  'manifests/..%2f..%2fb%2fmanifests%2flatest',
  'manifests/latest%00',
  'manifests/latest%2f',
  'manifests/latest;x',
  'manifests/latest\\',
  'manifests/latest#x',
  'manifests/ latest',
  'manifests/lat%65st',
  'manifests/',
  'manifests/é',
  `manifests/${SHA256.replace(':', '%253A')}`,
  `manifests/${SHA256.replace(':', '%3A%3A')}`,
  `manifests/${SHA256.toUpperCase()}`,
  `manifests/a@${SHA256}`,
  `blobs/${SHA256}%00`,
  `blobs/${SHA256}%2f..`,
  `blobs/${SHA256};`,
  `blobs/${SHA256.slice(0, -2)}..`,
  `blobs/${SHA256.slice(0, -3)}%61`,
  'blobs/..',
  'blobs/',
  'blobs/uploads',
  'blobs/uploads?digest=x',
  'blobs/%75ploads/',
  'blobs/uploads/..',
  'blobs/uploads/.',
  'blobs/uploads/%2e%2e',
  'blobs/uploads/..%2f',
  'blobs/uploads/a%2fb',
  'blobs/uploads/a;b',
  'blobs/uploads/a\\b',
  'blobs/uploads/a%00',
  'blobs/uploads/a:b',
  'blobs/uploads/a%3Ab',
  'blobs/uploads/é',
  'blobs/uploads/-',
  `referrers/${SHA256}/..`,
  'referrers/latest',
  'referrers/',
]

t.test('a path with an invalid reference, digest or upload id is refused', async (t) => {
  for (const end of HOSTILE_ENDS) {
    const taken = METHODS.filter((method) => 'request' in parseRegistryRequest(method, `/v2/a/b/${end}`))
    t.same(taken, [], JSON.stringify(end))
  }
})

t.test('no request can name a repository of the trash', async (t) => {
  const trash = 'registry-manager-trash/0b9a3b1c-5a4e-4e0e-9d0a-2f6f0a3a7b11'
  const paths = [
    `/v2/${trash}/manifests/latest`,
    `/v2/${trash}/manifests/${SHA256}`,
    `/v2/${trash}/blobs/${SHA256}`,
    `/v2/${trash}/blobs/uploads/`,
    `/v2/${trash}/blobs/uploads/?mount=${SHA256}&from=team/app`,
    `/v2/${trash}/blobs/uploads/0b9a3b1c-5a4e-4e0e-9d0a-2f6f0a3a7b11`,
    `/v2/${trash}/tags/list`,
    `/v2/${trash}/referrers/${SHA256}`,
    '/v2/registry-manager-trash/manifests/latest',
    `/v2/team/app/blobs/uploads/?mount=${SHA256}&from=${trash}`,
    `/v2/team/app/blobs/uploads/?mount=${SHA256}&from=${encodeURIComponent(trash)}`,
  ]
  for (const path of paths) {
    for (const method of METHODS) {
      const parsed = parseRegistryRequest(method, path)
      const isMount = path.startsWith('/v2/team/')
      if (isMount && method !== 'POST') continue
      t.match(parsed, { refused: { code: 'NAME_INVALID' } }, `${method} ${path}`)
    }
  }
  for (const path of [
    `/v2/registry-manager-trash%2Fa/tags/list`,
    `/v2/./${trash}/tags/list`,
    `/v2//${trash}/tags/list`,
  ])
    t.ok('refused' in parseRegistryRequest('GET', path), path)
})
