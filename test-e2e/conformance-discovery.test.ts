import t from 'tap'
import { makeImage } from './harness/manifests.ts'
import { createRegistryClient } from './harness/registry-client.ts'
import { basic, startSystem } from './harness/system.ts'

/*
 * OCI distribution-spec 1.1, "Content Discovery", "Listing Tags". The catalog is distribution's (HTTP API V2, "Listing
 * Repositories"). Both are in byte order, as in distribution and the conformance suite.
 */

const system = await startSystem(t)
const client = createRegistryClient(system.url, basic(await system.createUser('jane', ['team'])))

/** Follows `Link` from a first page to the last. Returns all pages. */
async function pagesFrom(path: string, list: string): Promise<string[][]> {
  const pages: string[][] = []
  for (let next: string | undefined = path; next !== undefined;) {
    const { status, headers, json } = await client.send('GET', next)
    if (status !== 200 || pages.length > 20) throw new Error(`${next}: ${status}, page ${pages.length}`)
    pages.push(json[list])
    // Relative to the request's URL. Source: RFC 8288 §3.
    const [, target] = /^<([^>]+)>; *rel="next"$/.exec(headers['link'] ?? '') ?? []
    next = target === undefined ? undefined : new URL(target, new URL(path, system.url)).href
  }
  return pages
}

t.test('Listing Repositories: the catalog of an empty registry is an empty list', async (t) => {
  t.match(await client.send('GET', '/v2/_catalog'), { status: 200, json: { repositories: [] } })
})

t.test('Listing Tags: an unknown repository is 404', async (t) => {
  t.match(await client.send('GET', '/v2/team/absent/tags/list'), { status: 404, code: 'NAME_UNKNOWN' })
})

t.test('Listing Tags: tags come in byte order and in pages linked by Link', async (t) => {
  const image = makeImage()
  const tags = ['10', '9', 'A', 'Z-1', '_x', 'a', 'a.b', 'b', 'latest']
  await client.pushContents('team/listed', image)
  for (const tag of tags.toReversed()) await client.putManifest('team/listed', tag, image)
  const path = '/v2/team/listed/tags/list'

  const all = await client.send('GET', path)
  t.match(all, { status: 200, headers: { 'content-type': /^application\/json/ } })
  t.strictSame(all.json, { name: 'team/listed', tags })
  t.equal(all.headers['link'], undefined, 'the last page has no Link')

  for (const [query, expected, isMore] of [
    ['n=3', tags.slice(0, 3), true],
    ['n=1', tags.slice(0, 1), true],
    ['n=8', tags.slice(0, 8), true],
    ['n=9', tags, false],
    ['n=10', tags, false],
    ['n=100000', tags, false],
    ['n=0', [], false],
    ['n=0&last=a', [], false],
    ['last=A', tags.slice(3), false],
    ['last=a&n=2', tags.slice(6, 8), true],
    ['last=a.b&n=2', tags.slice(7), false],
    ['last=latest', [], false],
    ['last=aa', tags.slice(7), false],
    ['last=zzz&n=5', [], false],
  ] as const) {
    const { status, json, headers } = await client.send('GET', `${path}?${query}`)
    t.equal(status, 200, query)
    t.strictSame(json, { name: 'team/listed', tags: expected }, query)
    if (isMore) t.match(headers['link'], /^<.+>; *rel="next"$/, query)
    else t.equal(headers['link'], undefined, query)
  }
  for (const n of [1, 2, 3, 4, 8, 9]) {
    const pages = await pagesFrom(`${path}?n=${n}`, 'tags')
    t.strictSame(pages.flat(), tags, `all tags by Link, ${n} at a time`)
    t.equal(pages.length, Math.ceil(tags.length / n), 'all pages but the last are full')
  }
  for (const n of ['-1', 'x', '1.5', '']) {
    t.match(await client.send('GET', `${path}?n=${n}`), { status: 400 }, `n=${n} is refused`)
  }
})

t.test('Listing Tags: a push or a deletion shows in the next list', async (t) => {
  const image = makeImage()
  const tagsOf = async () => (await client.send('GET', '/v2/team/now/tags/list')).json?.tags
  await client.push('team/now', image)
  t.strictSame(await tagsOf(), [], 'the repository has no tags')
  await client.putManifest('team/now', 'b', image)
  await client.putManifest('team/now', 'a', makeImage())
  t.strictSame(await tagsOf(), ['b'], 'a refused push adds no tag')
  await client.push('team/now', makeImage(), 'a')
  t.strictSame(await tagsOf(), ['a', 'b'])
  await client.send('DELETE', `/v2/team/now/manifests/${image.descriptor.digest}`)
  t.strictSame(await tagsOf(), ['a'], 'a deleted manifest has no tags')
})

t.test('Listing Repositories: the catalog comes in byte order and in pages linked by Link', async (t) => {
  for (const name of ['team/a', 'team/a/b', 'team/a-b', 'team/a0', 'team/z'])
    await client.push(name, makeImage())
  const all: string[] = (await client.send('GET', '/v2/_catalog')).json.repositories
  t.strictSame(all, all.toSorted())
  t.strictSame(all, ['team/a', 'team/a-b', 'team/a/b', 'team/a0', 'team/listed', 'team/now', 'team/z'])
  t.strictSame(
    (await pagesFrom('/v2/_catalog?n=3', 'repositories')).map(({ length }) => length),
    [3, 3, 1],
  )
  t.strictSame((await pagesFrom('/v2/_catalog?n=3', 'repositories')).flat(), all)
  t.strictSame((await client.send('GET', '/v2/_catalog?last=team/a/b')).json.repositories, all.slice(3))
  t.match(await client.send('GET', '/v2/_catalog?n=0'), { status: 200, json: { repositories: [] } })
})
