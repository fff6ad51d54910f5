import { once } from 'node:events'
import { createServer } from 'node:http'
import type { AddressInfo } from 'node:net'
import t from 'tap'
import { pgliteForTest } from '@registry-manager/testing/pglite'
import { SERVICE, SERVICE_CREDENTIAL, startAuthService } from '../fixtures/auth-service.ts'

const AT = '2026-11-21T12:00:00.123Z'
const TIME = '2026-11-21T12:00:00Z'
const DIGEST = `sha256:${'a'.repeat(64)}`
const REPOSITORIES = ['alpine', 'team/app', 'team/a.b/c'].map((name) => ({
  name,
  createdAt: AT,
  pushedAt: AT,
  artifacts: 3,
  pulls: 7,
  lastPulledAt: AT,
}))
const ARTIFACT = {
  repository: 'team/app',
  digest: DIGEST,
  mediaType: 'application/x',
  tags: ['v1'],
  pushedAt: AT,
}

/** A fake image-manager with these contents; records its requests. */
const world = { requests: [] as URL[], unavailable: false }
const imageManager = createServer((request, response) => {
  if (world.unavailable) return request.socket.destroy()
  const url = new URL(request.url ?? '', 'http://image-manager')
  world.requests.push(url)
  const answer = (): object | undefined => {
    if (request.headers.authorization !== `Bearer ${SERVICE_CREDENTIAL}`) return undefined
    const [name, repository, digest] = ['name', 'repository', 'digest'].map((field) =>
      url.searchParams.get(field),
    )
    switch (url.pathname) {
      case '/internal/contents/usage':
        return { bytes: 12345, updatedAt: AT }
      case '/internal/contents/repositories': {
        const repositories = REPOSITORIES.filter((one) => name === null || one.name === name)
        return { repositories, total: repositories.length }
      }
      case '/internal/contents/artifacts': {
        if (repository !== null && repository !== 'team/app') return undefined
        const artifacts = digest === null || digest === DIGEST ? [ARTIFACT] : []
        return { artifacts, total: artifacts.length }
      }
      default:
        return undefined
    }
  }
  const body = answer()
  return response.writeHead(body === undefined ? 404 : 200).end(JSON.stringify(body ?? {}))
}).listen(0, '127.0.0.1')
await once(imageManager, 'listening')
t.teardown(() => {
  imageManager.closeAllConnections()
  imageManager.close()
})

const imageManagerUrl = `http://127.0.0.1:${(imageManager.address() as AddressInfo).port}`
const { ask } = await startAuthService(t, await pgliteForTest(t), { imageManagerUrl })
const get = async (path: string) => {
  const response = await ask({ url: `/containerregistries${path}`, as: 'root' })
  return { status: response.statusCode, body: response.json() }
}
const { body: list } = await get('/registries')
const registry = `/registries/${list.items[0].id}`
const base = `/containerregistries${registry}`
const lastQuery = () => Object.fromEntries(world.requests.at(-1)?.searchParams ?? [])

t.test('this installation is listed as the only registry', async (t) => {
  const only = {
    id: /^[0-9a-f-]{36}$/,
    type: 'registry',
    href: base,
    metadata: { createdBy: String, createdByUserId: /^[0-9-]{36}$/, createdDate: /Z$/, state: 'Running' },
    properties: {
      name: /^[a-z][-a-z0-9]{1,61}[a-z0-9]$/,
      location: String,
      hostname: SERVICE,
      storageUsage: { bytes: 12345, updatedAt: TIME },
    },
  }
  t.match(list, {
    type: 'collection',
    items: [only],
    pagination: { limit: Number, token: '' },
    _links: { next: '', previous: '', self: '/containerregistries/registries' },
  })
  t.match(await get(registry), { status: 200, body: only })
  t.match(await get(registry.replace('/registries/', '/registries/:')), { status: 200, body: { href: base } })
  t.equal((await get('/registries?filter.name=manager')).body.items.length, 1)
  t.equal((await get('/registries?filter.name=other')).body.items.length, 0)
})

t.test('repositories are listed in pages, sorted and filtered by image-manager', async (t) => {
  const { status, body } = await get(`${registry}/repositories`)
  t.equal(status, 200)
  t.match(body, {
    id: 'repositories',
    type: 'collection',
    href: `${base}/repositories`,
    offset: 0,
    limit: 100,
  })
  t.strictSame(body.items[1], {
    id: 'team/app',
    type: 'repository',
    href: `${base}/repositories/team%2Fapp`,
    metadata: {
      createdDate: TIME,
      lastPushedAt: TIME,
      artifactCount: 3,
      pullCount: 7,
      pushCount: 0,
      lastPulledAt: TIME,
    },
    properties: { name: 'team/app' },
  })
  t.strictSame(body['_links'], { self: `${base}/repositories?offset=0&limit=100` })
  t.strictSame(lastQuery(), { offset: '0', limit: '100', orderBy: '-lastPush' })
  const page = await get(`${registry}/repositories?offset=1&limit=1&orderBy=name&filter.name=a`)
  t.strictSame(lastQuery(), { offset: '1', limit: '1', orderBy: 'name', search: 'a' })
  const query = (offset: number) => `${base}/repositories?offset=${offset}&limit=1&orderBy=name&filter.name=a`
  t.strictSame(page.body['_links'], { prev: query(0), self: query(1), next: query(2) })
})

t.test('a repository is found by its name, percent-encoded into one segment', async (t) => {
  for (const { name, href } of [
    { name: 'alpine', href: 'alpine' },
    { name: 'team/app', href: 'team%2Fapp' },
    { name: 'team/app', href: 'team%2fapp' },
    { name: 'team/a.b/c', href: 'team%2Fa.b%2Fc' },
  ]) {
    t.match(await get(`${registry}/repositories/${href}`), {
      status: 200,
      body: { id: name, properties: { name } },
    })
  }
  for (const name of [
    'none',
    'team%2Fnone',
    'team/app',
    'Team%2Fapp',
    '%00',
    'team%2F..%2Fapp',
    '%25',
    'a%2F',
  ]) {
    t.equal((await get(`${registry}/repositories/${name}`)).status, 404, name)
  }
})

t.test('artifacts are listed by repository and in total, and found by digest', async (t) => {
  const artifact = {
    id: DIGEST,
    type: 'artifact',
    href: `${base}/repositories/team%2Fapp/artifacts/${DIGEST}`,
    metadata: { createdDate: TIME, lastPushedAt: TIME, pullCount: 0, pushCount: 0 },
    properties: { repositoryName: 'team/app', digest: DIGEST, tags: ['v1'], mediaType: 'application/x' },
  }
  const listed = await get(`${registry}/repositories/team%2Fapp/artifacts?limit=5`)
  t.strictSame(listed.body, {
    id: 'artifacts',
    type: 'collection',
    href: `${base}/repositories/team%2Fapp/artifacts`,
    items: [artifact],
    offset: 0,
    limit: 5,
    _links: { self: `${base}/repositories/team%2Fapp/artifacts?limit=5&offset=0` },
  })
  t.strictSame(lastQuery(), { offset: '0', limit: '5', orderBy: '-lastPush', repository: 'team/app' })
  t.strictSame(await get(`${registry}/repositories/team%2Fapp/artifacts/${DIGEST}`), {
    status: 200,
    body: artifact,
  })
  const encoded = encodeURIComponent(DIGEST)
  t.equal(
    (await get(`${registry}/repositories/team%2Fapp/artifacts/${encoded}`)).status,
    200,
    'percent-encoded, as the SDKs do',
  )
  t.strictSame((await get(`${registry}/artifacts`)).body.items, [artifact])
  t.notOk('repository' in lastQuery(), 'no repository is given: the list has all of them')
  for (const path of [
    '/repositories/team%2Fnone/artifacts',
    '/repositories/Bad/artifacts',
    `/repositories/team%2Fnone/artifacts/${DIGEST}`,
    `/repositories/team%2Fapp/artifacts/sha256:${'b'.repeat(64)}`,
    '/repositories/team%2Fapp/artifacts/latest',
  ]) {
    t.match(
      await get(registry + path),
      { status: 404, body: { httpStatus: 404, messages: [{ errorCode: '0' }] } },
      path,
    )
  }
})

t.test('a bad parameter of a list is refused with its name', async (t) => {
  for (const query of ['limit=0', 'offset=x', 'filter.name=%00']) {
    const { status, body } = await get(`${registry}/repositories?${query}`)
    t.equal(status, 400, query)
    t.match(body.messages[0].message, new RegExp(`^${query.split('=')[0]} must (be|not contain) `))
  }
})

t.test('without image-manager lists are 503, and the registry has no usage', async (t) => {
  world.unavailable = true
  for (const path of [
    '/repositories',
    '/repositories/alpine',
    '/repositories/alpine/artifacts',
    '/artifacts',
  ]) {
    const response = await ask({ url: base + path, as: 'root' })
    t.equal(response.statusCode, 503, path)
    t.match(response.json(), { httpStatus: 503, messages: [{ message: 'image-manager is unavailable' }] })
    t.ok(Number(response.headers['retry-after']) > 0)
  }
  t.match(await get(registry), { status: 200, body: { properties: { storageUsage: { bytes: null } } } })
})
