import t from 'tap'
import { parseMount, parseRegistryRequest } from '../src/registry-request.ts'

const A = `sha256:${'a1'.repeat(32)}`
const B = `sha256:${'b2'.repeat(32)}`

t.test('the parameter n of a list is a whole number and is limited to 1000', async (t) => {
  const sizes: readonly (readonly [query: string, n: number | undefined])[] = [
    ['', undefined],
    ['?', undefined],
    ['?last=a', undefined],
    ['?n=0', 0],
    ['?n=1', 1],
    ['?n=007', 7],
    ['?n=1000', 1000],
    ['?n=1001', 1000],
    ['?n=999999999', 1000],
    [`?n=${'9'.repeat(40)}`, 1000],
    ['?n=5&n=-1', 5],
    ['?%6e=5', 5],
  ]
  const bad = [
    '-1',
    '1.5',
    'x',
    '',
    '%2B5',
    '+5',
    '1e3',
    '0x10',
    '5%20',
    '5%00',
    'NaN',
    '%D9%A3',
    '5&n=1'.slice(1),
  ]
  for (const path of ['/v2/_catalog', '/v2/a/b/tags/list']) {
    for (const [query, n] of sizes) {
      const parsed = parseRegistryRequest('GET', `${path}${query}`)
      t.equal('request' in parsed && (parsed.request as { n?: number }).n, n, `${path}${query}: ${n}`)
    }
    for (const n of bad) {
      const refused = { code: 'PAGINATION_NUMBER_INVALID' }
      t.match(parseRegistryRequest('GET', `${path}?n=${n}`), { refused }, `${path}?n=${n} is refused`)
    }
  }
})

t.test('the parameter last of a list can be any string and is decoded once', async (t) => {
  for (const [query, last] of [
    ['last=team%2Fapp', 'team/app'],
    ['last=team/app&last=b', 'team/app'],
    ['last=%252e', '%2e'],
    ['last=', ''],
    ['last=a%26n%3D5', 'a&n=5'],
  ] as const) {
    const parsed = parseRegistryRequest('GET', `/v2/_catalog?${query}`)
    t.match(parsed, { request: { kind: 'catalog', last, n: undefined } }, query)
  }
})

t.test('the parameter last of a list is refused with NUL, because no name contains it', async (t) => {
  for (const query of ['last=%00', 'last=team%00', 'n=5&last=a%00b']) {
    for (const path of ['/v2/_catalog', '/v2/a/tags/list']) {
      t.match(parseRegistryRequest('GET', `${path}?${query}`), { refused: { code: 'NAME_INVALID' } }, query)
    }
  }
})

const MOUNTS: readonly (readonly [query: string, expected: object | undefined, why: string])[] = [
  ['', undefined, 'no mount'],
  [`mount=${A}`, undefined, 'a mount from nowhere is an ordinary upload'],
  ['from=other/app', undefined, 'a source without a digest'],
  [`mount=${A}&from=other/app`, { digest: A, from: 'other/app' }, 'a mount'],
  [`from=other/app&mount=${A}`, { digest: A, from: 'other/app' }, 'the other way round'],
  [`mount=${A.replace(':', '%3A')}&from=other%2Fapp`, { digest: A, from: 'other/app' }, 'escaped'],
  [`%6Dount=${A}&%66rom=other`, { digest: A, from: 'other' }, 'escaped names are the same names'],
  [`mount=${A}&from=mine&from=other`, { digest: A, from: 'mine' }, 'the first source counts'],
  [`mount=${A}&mount=${B}&from=mine`, { digest: A, from: 'mine' }, 'the first digest counts'],
  [`Mount=${A}&From=mine`, undefined, 'names in capitals are other names'],
  [`mount[]=${A}&from[]=mine`, undefined, 'brackets make other names'],
  [`mount=${A};from=mine`, undefined, 'a semicolon does not separate'],
  [`mount=${A}&from=`, { refused: { code: 'NAME_INVALID' } }, 'an empty source'],
  [`mount=${A}&from=../other`, { refused: { code: 'NAME_INVALID' } }, 'dots in the source'],
  [`mount=${A}&from=a%2F..%2Fb`, { refused: { code: 'NAME_INVALID' } }, 'escaped dots in the source'],
  [`mount=${A}&from=A`, { refused: { code: 'NAME_INVALID' } }, 'a capital source'],
  [`mount=${A}&from=a%00`, { refused: { code: 'NAME_INVALID' } }, 'NUL in the source'],
  ['mount=latest&from=mine', { refused: { code: 'DIGEST_INVALID' } }, 'a mount by tag'],
  ['mount=&from=mine', { refused: { code: 'DIGEST_INVALID' } }, 'an empty digest'],
  [`mount=${A}%0A&from=mine`, { refused: { code: 'DIGEST_INVALID' } }, 'a line end after the digest'],
]

t.test('the mount of an upload needs a digest and a source repository', async (t) => {
  for (const [query, expected, why] of MOUNTS) {
    const parsed = parseMount(new URLSearchParams(query))
    if (expected === undefined) t.equal(parsed, undefined, why)
    else t.match(parsed, expected, why)
    const request = parseRegistryRequest('POST', `/v2/a/blobs/uploads/?${query}`)
    if (expected !== undefined && 'refused' in expected) t.match(request, expected, `${why}, in a request`)
    else t.same('request' in request && request.request, uploadStart(expected), `${why}, in a request`)
  }
})

function uploadStart(mount: object | undefined) {
  return { kind: 'upload-start', repository: 'a', mount, method: 'POST' }
}

t.test('the parameters of an upload are parsed', async (t) => {
  const target = '/v2/a/blobs/uploads/x'
  const base = { kind: 'upload', repository: 'a', id: 'x' }
  const cases = [
    ['PATCH', '', { state: undefined, binding: undefined, digest: undefined }],
    ['PATCH', '?_state=s%2B1&_binding=b', { state: 's+1', binding: 'b', digest: undefined }],
    ['PATCH', `?digest=${A}`, { state: undefined, binding: undefined, digest: undefined }],
    ['PUT', `?_state=s&digest=${A}`, { state: 's', binding: undefined, digest: A }],
    ['PUT', `?digest=${A}&digest=${B}`, { state: undefined, binding: undefined, digest: A }],
    ['PUT', `?_binding=b&_binding=c&digest=${A}`, { state: undefined, binding: 'b', digest: A }],
    ['DELETE', '?_state=s&admin=true', { state: 's', binding: undefined, digest: undefined }],
  ] as const
  for (const [method, query, rest] of cases) {
    t.same(
      parseRegistryRequest(method, `${target}${query}`),
      { request: { ...base, ...rest, method } },
      query,
    )
  }
})

t.test('referrers are filtered by artifactType, and unknown parameters are dropped', async (t) => {
  const parsed = parseRegistryRequest('GET', `/v2/a/referrers/${A}?artifactType=x%2Fy&artifactType=z&n=x&q=1`)
  const request = { kind: 'referrers', repository: 'a', digest: A, artifactType: 'x/y', method: 'GET' }
  t.same(parsed, { request })
})

t.test('a push by digest can set up to ten tags', async (t) => {
  const tagsOf = (query: string, method = 'PUT', reference = A) => {
    const parsed = parseRegistryRequest(method, `/v2/team/app/manifests/${reference}?${query}`)
    return 'refused' in parsed ? (parsed.refused.status ?? parsed.refused.code) : Object(parsed.request).tags
  }
  t.strictSame(tagsOf('tag=a&tag=b&tag=a'), ['a', 'b'])
  for (const query of ['', 'tags=a', 'Tag=a']) t.equal(tagsOf(query), undefined, query)
  for (const query of ['tag=', 'tag=a&tag=b%20c', 'tag=a%2Fb', `tag=${'a'.repeat(129)}`])
    t.equal(tagsOf(query), 'TAG_INVALID', query)
  const many = (count: number) => [...Array(count).keys()].map((number) => `tag=t${number}`).join('&')
  t.equal(tagsOf(many(10)).length, 10)
  t.equal(tagsOf(many(11)), 414)
  t.equal(tagsOf('tag=a', 'PUT', 'v1'), undefined, 'not beside a tag')
  t.equal(tagsOf('tag=a b', 'GET'), undefined, 'a GET sets no tags')
})

t.test('only force=true forces a deletion', async (t) => {
  const forceOf = (query: string, method = 'DELETE') => {
    const parsed = parseRegistryRequest(method, `/v2/team/app/manifests/${A}?${query}`)
    return 'refused' in parsed ? parsed.refused.code : Object(parsed.request).force
  }
  t.equal(forceOf('force=true'), true)
  for (const query of ['', 'force', 'force=1', 'force=TRUE', 'force=false&force=true'])
    t.equal(forceOf(query), undefined, query)
  t.equal(forceOf('force=true', 'GET'), undefined)
})
