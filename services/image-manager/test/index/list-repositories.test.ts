import { sql } from 'kysely'
import t from 'tap'
import { createIndexRepositories } from '../../src/index/index.ts'
import { parseManifest } from '../../src/index/manifest.ts'
import { startImageManager } from '../fixtures/image-manager.ts'
import { MANIFEST } from '../fixtures/index-and-registry.ts'

const { ask, fill, db } = await startImageManager(t)
const numbered = (count: number) =>
  Array.from({ length: count }, (_, at) => `team/app-${String(at).padStart(4, '0')}`)
const fillWith = (names: readonly string[]) =>
  fill(Object.fromEntries(names.map((name) => [name, 'namespace' as const])))
const namesIn = (json: { repositories: { name: string }[] }) => json.repositories.map(({ name }) => name)

for (const count of [0, 1, 99, 100, 101, 200, 250]) {
  t.test(`a list of ${count} repositories is complete, ordered JSON`, async (t) => {
    const names = numbered(count)
    await fillWith(names)
    const answer = await ask('', { as: 'alice' })
    t.equal(answer.statusCode, 200)
    t.match(answer.headers['content-type'], 'application/json')
    t.same(namesIn(answer.json()), names)
    t.equal(answer.headers.link, undefined)
  })
}

for (const limit of [1, 7, 60, 120]) {
  t.test(`following the Link header through pages of ${limit} yields every repository once`, async (t) => {
    const names = numbered(limit === 1 ? 5 : 120)
    await fillWith(names)
    const pages: string[][] = []
    for (let next: string | undefined = `?limit=${limit}`; next !== undefined;) {
      const answer = await ask(next, { as: 'alice' })
      pages.push(namesIn(answer.json()))
      next = /^<[^?>]*\/repositories(\?[^>]*)>; rel="next"$/.exec(String(answer.headers.link))?.[1]
    }
    t.same(pages.flat(), names)
    t.equal(pages.length, Math.ceil(names.length / limit), 'no page is empty')
  })
}

t.test('the Link to the next page keeps the filters', async (t) => {
  await fillWith(['team/x-1', 'team/x-2', 'team/y', 'team/z'])
  const { headers } = await ask('?limit=1&search=x-&namespace=team', { as: 'alice' })
  const next = new URL(String(/^<(.*)>/.exec(String(headers.link))?.[1]), 'http://x')
  const given = { namespace: 'team', search: 'x-', limit: '1', last: 'team/x-1' }
  t.same(Object.fromEntries(next.searchParams), given)
  t.same(namesIn((await ask(next.search, { as: 'alice' })).json()), ['team/x-2'])
})

t.test(
  'administrators list every repository; users list those of their namespaces and global ones',
  async (t) => {
    await fill({ alpine: 'namespace', 'other/a': 'namespace', 'other/b': 'global', 'team/a': 'namespace' })
    const everything = ['alpine', 'other/a', 'other/b', 'team/a']
    t.same(namesIn((await ask('', { as: 'root' })).json()), everything)
    t.same(namesIn((await ask('', { as: 'olga' })).json()), everything)
    t.same(namesIn((await ask('', { as: 'alice' })).json()), ['other/b', 'team/a'])
    t.same(
      namesIn((await ask('/', { as: 'alice' })).json()),
      ['other/b', 'team/a'],
      'the path may end with a slash',
    )
  },
)

t.test('a repository has its tags, each with its manifest as it was pushed', async (t) => {
  await fill({})
  const raw = Buffer.from('{ "schemaVersion" : 2,\n"layers":[], "x":1e2 }')
  const parsed = parseManifest(raw, MANIFEST)
  if ('malformed' in parsed) throw new Error(parsed.malformed)
  const index = createIndexRepositories(db)
  await index.manifests.putManifest('team/app', parsed.manifest)
  for (const tag of ['b', 'a']) await index.tags.setTag('team/app', tag, parsed.manifest.digest, undefined)
  const answer = await ask('/team/app', { as: 'alice' })
  const manifest = { schemaVersion: 2, layers: [], x: 100 }
  const tags = ['a', 'b'].map((name) => ({ name, manifest }))
  const expected = { name: 'team/app', owner: 'team', scope: 'namespace', tags }
  t.same(answer.json(), expected)
  t.ok(answer.body.includes(raw.toString()), 'the bytes of the manifest are unchanged')
  t.same((await ask('', { as: 'alice' })).json(), { repositories: [expected] })
})

t.test('repositories without tags are listed among those with tags', async (t) => {
  await fillWith(['team/a', 'team/c', 'team/e', 'team/f'])
  const parsed = parseManifest(Buffer.from('{"layers":[]}'), MANIFEST)
  if ('malformed' in parsed) throw new Error(parsed.malformed)
  const index = createIndexRepositories(db)
  for (const name of ['team/b', 'team/d']) {
    await index.manifests.putManifest(name, parsed.manifest)
    for (const tag of ['1', '2']) await index.tags.setTag(name, tag, parsed.manifest.digest, undefined)
  }
  const { repositories } = (await ask('', { as: 'alice' })).json()
  const shape = repositories.map(({ name, tags }: { name: string; tags: { name: string }[] }) => [
    name,
    ...tags.map((tag) => tag.name),
  ])
  const expected = [
    ['team/a'],
    ['team/b', '1', '2'],
    ['team/c'],
    ['team/d', '1', '2'],
    ['team/e'],
    ['team/f'],
  ]
  t.same(shape, expected)
  t.same((await ask('/team/a', { as: 'alice' })).json().tags, [])
})

t.test('an error before the first repository gets a 500, not a broken list', async (t) => {
  await fillWith(['team/a'])
  await sql`alter table tags rename to elsewhere`.execute(db)
  t.teardown(() => sql`alter table elsewhere rename to tags`.execute(db))
  for (const path of ['', '?limit=1', '/team/a']) {
    const answer = await ask(path, { as: 'alice' })
    t.equal(answer.statusCode, 500, path)
    t.match(answer.headers['content-type'], 'application/problem+json')
    t.equal(answer.json().status, 500)
  }
})

for (const query of [
  'limit=0',
  'limit=-1',
  'limit=x',
  'limit=',
  'limit=1&limit=2',
  'last=a&last=b',
  'search=a%00',
]) {
  t.test(`a list request with ${query} gets 400 and names the field`, async (t) => {
    const answer = await ask(`?${query}`, { as: 'alice' })
    t.equal(answer.statusCode, 400)
    t.equal(answer.json().field, query.split('=')[0])
  })
}
