import type { Access } from '@registry-manager/oci'
import { repositoryAccess } from '@registry-manager/oci'
import t from 'tap'
import { sendRequest } from './fixtures/send-request.ts'
import { startProxy, until } from './fixtures/proxy.ts'
import { DIGEST } from './fixtures/requests.ts'

const { port, upstream, images, bearer } = await startProxy(t)
const CATALOG: Access = { type: 'registry', name: 'catalog', actions: ['*'] }
const authorization = bearer([CATALOG, repositoryAccess('team/app', 'pull', 'delete')])
const get = (path: string) => sendRequest(port, path, { authorization })
const remove = (reference: string) =>
  sendRequest(port, `/v2/team/app/manifests/${reference}`, { method: 'DELETE', authorization })
const names = (...list: string[]) => ({ body: { names: list, more: false } })

t.beforeEach(() => {
  images.requests.splice(0)
  images.responses.clear()
  images.behaviour = 'up'
})

t.test('the catalog comes from the index, for the account of the principal', async (t) => {
  t.same(JSON.parse((await get('/v2/_catalog')).body.toString()), { repositories: [] })
  images.responses.set('GET /internal/catalog', names('a/b', 'team/app'))
  const response = await get('/v2/_catalog?n=5&last=a')
  t.same(JSON.parse(response.body.toString()), { repositories: ['a/b', 'team/app'] })
  t.equal(response.headers.link, undefined)
  const query = new URL(images.requests.at(-1)?.split(' ')[1] ?? '', 'http://x').searchParams
  t.match(Object.fromEntries(query), { uid: 'uid-alice', n: '5', last: 'a', via: undefined })
  const byToken = bearer([CATALOG], { kind: 'personal-token', via: 'id-laptop' })
  await sendRequest(port, '/v2/_catalog', { authorization: byToken })
  t.match(images.requests.at(-1), 'uid=uid-alice&via=id-laptop', 'for a personal token')
  const rules = [
    ['rule-2', 1],
    ['rule-3', 1],
  ] as const
  await sendRequest(port, '/v2/_catalog', { authorization: bearer([CATALOG], { kind: 'workload', rules }) })
  t.match(images.requests.at(-1), 'uid=uid-alice&rules=rule-2%2Crule-3', 'for a workload of several rules')
})

t.test('every page but the last links to the next', async (t) => {
  const body = { names: ['a', 'b&c'], more: true }
  images.responses.set('GET /internal/catalog', { body }).set('GET /internal/tags', { body })
  t.equal((await get('/v2/_catalog?n=2')).headers.link, '</v2/_catalog?last=b%26c&n=2>; rel="next"')
  t.equal((await get('/v2/_catalog')).headers.link, '</v2/_catalog?last=b%26c&n=100>; rel="next"')
  t.match(images.requests.at(-1), /[?&]n=100$/, 'image-manager is asked for the same number')
  const { headers } = await get('/v2/team/app/tags/list?n=2')
  t.equal(headers.link, '</v2/team/app/tags/list?last=b%26c&n=2>; rel="next"')
})

t.test('the tags of a repository come from the index, and an unknown repository is 404', async (t) => {
  images.responses.set('GET /internal/tags', names('1.0', 'latest'))
  const response = await get('/v2/team/app/tags/list')
  t.same(JSON.parse(response.body.toString()), { name: 'team/app', tags: ['1.0', 'latest'] })
  images.responses.set('GET /internal/tags', { status: 404, body: { status: 404 } })
  const absent = await get('/v2/team/app/tags/list')
  t.same([absent.status, absent.code], [404, 'NAME_UNKNOWN'])
})

t.test('the response for referrers is an image index with that media type', async (t) => {
  const type = 'application/vnd.oci.image.index.v1+json'
  const manifests = [
    { mediaType: 'x/y', digest: DIGEST, size: 1, artifactType: 'a/b', annotations: { a: 'b' } },
  ]
  images.responses.set('GET /internal/referrers', { body: { manifests } })
  const all = await get(`/v2/team/app/referrers/${DIGEST}`)
  t.equal(all.headers['content-type'], type)
  t.equal(all.headers['oci-filters-applied'], undefined)
  t.same(JSON.parse(all.body.toString()), { schemaVersion: 2, mediaType: type, manifests })
  const some = await get(`/v2/team/app/referrers/${DIGEST}?artifactType=a%2Fb`)
  t.equal(some.headers['oci-filters-applied'], 'artifactType')
  t.match(images.requests.at(-1), /artifactType=a%2Fb/)
})

for (const reference of ['latest', DIGEST]) {
  t.test(`a deletion by ${reference.slice(0, 8)} is 202, or 404 if there is no manifest`, async (t) => {
    const done = await remove(reference)
    t.same([done.status, done.body.length], [202, 0])
    const query = new URLSearchParams({ repository: 'team/app', reference })
    t.same(images.requests, [`DELETE /internal/manifests?${query}`])
    images.responses.set('DELETE /internal/manifests', { body: { deleted: false } })
    const absent = await remove(reference)
    t.same([absent.status, absent.code], [404, 'MANIFEST_UNKNOWN'])
  })
}

t.test('requests for the index are 503 while image-manager is unavailable', async (t) => {
  images.behaviour = 'down'
  const paths = ['/v2/_catalog', '/v2/team/app/tags/list', `/v2/team/app/referrers/${DIGEST}`]
  for (const response of [...(await Promise.all(paths.map(get))), await remove('latest')]) {
    t.same([response.status, response.code], [503, 'UNAVAILABLE'])
    t.ok(response.headers['retry-after'])
    t.match(JSON.parse(response.body.toString()).errors[0].message, /image-manager/)
  }
})

t.test('lists do not wait for deletions, however many wait for the registry', async (t) => {
  images.silent.add('DELETE /internal/manifests')
  const stuck = Promise.allSettled(Array.from({ length: 200 }, () => remove('latest')))
  // As many deletions as the proxy has connections for.
  await until(() => images.requests.length === 128)
  t.equal((await get('/v2/team/app/tags/list')).status, 200)
  images.silent.clear()
  images.behaviour = 'down'
  images.disconnect()
  for (const ended of await stuck) t.match(ended, { value: { status: 503 } })
})

t.test('requests without access do not reach image-manager', async (t) => {
  const paths = ['/v2/_catalog', '/v2/team/app/tags/list', `/v2/team/app/referrers/${DIGEST}`]
  for (const path of paths) {
    const response = await sendRequest(port, path, {
      authorization: bearer([repositoryAccess('team/other', 'pull')]),
    })
    t.equal(response.status, 401, path)
  }
  const pull = bearer([repositoryAccess('team/app', 'pull', 'push')])
  const path = '/v2/team/app/manifests/latest'
  t.equal((await sendRequest(port, path, { method: 'DELETE', authorization: pull })).status, 401)
  t.same(images.requests, [])
})

t.test('requests for the index do not reach the registry', async (t) => {
  t.same(upstream.requests, [])
})

t.test('every page of referrers but the last links to the next, with the filter', async (t) => {
  images.responses.set('GET /internal/referrers', { body: { manifests: [], next: DIGEST } })
  const target = `/v2/team/app/referrers/${DIGEST}`
  const link = (query: string) => `<${target}?${query}>; rel="next"`
  const last = `last=${encodeURIComponent(DIGEST)}`
  t.equal((await get(target)).headers.link, link(last))
  t.equal((await get(`${target}?artifactType=a%2Fb`)).headers.link, link(`artifactType=a%2Fb&${last}`))
  await get(`${target}?artifactType=a%2Fb&${last}`)
  const query = new URL(images.requests.at(-1)?.split(' ')[1] ?? '', 'http://x').searchParams
  t.match(Object.fromEntries(query), { digest: DIGEST, artifactType: 'a/b', last: DIGEST })
  t.equal((await get(`${target}?last=x`)).code, 'DIGEST_INVALID')
})

t.test('the link of a list of tags without n has no n', async (t) => {
  images.responses.set('GET /internal/tags', { body: { names: ['a', 'b'], more: true } })
  t.equal((await get('/v2/team/app/tags/list')).headers.link, '</v2/team/app/tags/list?last=b>; rel="next"')
})

t.test('the deletion of content that an immutable tag needs is 403 DENIED with the rule', async (t) => {
  const immutable = { tag: 'v1', rule: 'releases', namespace: 'team', message: 'the tag v1 is immutable' }
  for (const route of ['DELETE /internal/manifests', 'DELETE /internal/blobs']) {
    images.responses.set(route, { body: { deleted: false, immutable } })
  }
  const ofBlob = { authorization: bearer([repositoryAccess('team/app', 'delete')]), method: 'DELETE' }
  const refusals = [
    await remove('v1'),
    await remove(DIGEST),
    await sendRequest(port, `/v2/team/app/blobs/${DIGEST}`, ofBlob),
  ]
  for (const { status, body } of refusals) {
    t.equal(status, 403)
    const { message, ...detail } = immutable
    t.strictSame(JSON.parse(body.toString()).errors, [{ code: 'DENIED', message, detail }])
  }
  images.responses.clear()
})

t.test(
  'the deletion of a manifest that an image index lists is 409 with the index, and can be forced',
  async (t) => {
    const by = (tag: string | null) => ({ body: { deleted: false, inUseBy: { digest: DIGEST, tag } } })
    images.responses.set('DELETE /internal/manifests', by('v1'))
    const refused = await remove(DIGEST)
    t.same([refused.status, refused.code], [409, 'DENIED'])
    t.match(JSON.parse(refused.body.toString()).errors[0], {
      message:
        `the image index ${DIGEST} (tag v1) references this manifest; ` +
        'delete the image index first, or add ?force=true',
      detail: { index: DIGEST, tag: 'v1' },
    })
    images.responses.set('DELETE /internal/manifests', by(null))
    t.match((await remove(DIGEST)).body.toString(), `the image index ${DIGEST} references`)
    const force = () =>
      new URL(images.requests.at(-1)?.split(' ')[1] ?? '', 'http://x').searchParams.get('force')
    t.equal(force(), null)
    await remove(`${DIGEST}?force=1`)
    t.equal(force(), null, 'only `true` forces a deletion')
    await remove(`${DIGEST}?force=true`)
    t.equal(force(), 'true')
  },
)
