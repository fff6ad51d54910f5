import { once } from 'node:events'
import type { IncomingMessage, ServerResponse } from 'node:http'
import { createServer } from 'node:http'
import type { AddressInfo } from 'node:net'
import { ServiceCallError } from '@registry-manager/http'
import type { Test } from 'tap'
import t from 'tap'
import { createRegistryClient } from '../src/registry-client.ts'
import { isRegistryOverloaded, isRegistryRefusal } from '../src/registry-request.ts'
import { createMemoryRegistry } from '../../../services/image-manager/test/fixtures/memory-registry.ts'
import { startRegistryServer } from './fixtures/registry-server.ts'
import { MANIFEST, image } from '../../../services/image-manager/test/fixtures/index-and-registry.ts'

type Respond = (request: IncomingMessage, response: ServerResponse) => unknown

/** A client of a server that responds like this; `requests` has what arrived. */
async function start(t: Test, respond: Respond, signal?: AbortSignal) {
  const requests: string[] = []
  const server = createServer((request, response) => {
    requests.push(`${request.method} ${request.url} ${request.headers.authorization}`)
    response.setHeader('docker-distribution-api-version', 'registry/2.0')
    respond(request, response)
  })
  await once(server.listen(0, '127.0.0.1'), 'listening')
  t.teardown(() => {
    server.closeAllConnections()
    server.close()
  })
  const registryUrl = `http://127.0.0.1:${(server.address() as AddressInfo).port}`
  const serviceToken = async (access: unknown) => JSON.stringify(access)
  return { client: createRegistryClient({ registryUrl, serviceToken, signal, timeoutMs: 2000 }), requests }
}

t.test('lists of the registry may be null or empty, and any other shape is an error', async (t) => {
  const bodies: [string, readonly string[] | undefined][] = [
    ['{"repositories":["a","b/c"],"tags":["a","b/c"]}', ['a', 'b/c']],
    ['{"repositories":null,"tags":null}', []],
    ['{"repositories":[],"tags":[]}', []],
    ['{}', undefined],
    ['{"repositories":[1],"tags":[1]}', undefined],
    ['{"repositories":"a","tags":"a"}', undefined],
    ['[]', undefined],
    ['null', undefined],
    ['<html>', undefined],
  ]
  for (const [body, names] of bodies) {
    const { client } = await start(t, (_request, response) => response.end(body))
    const [catalog, tags] = [client.listRepositories(undefined), client.listTags('team/app')]
    if (names === undefined) {
      await t.rejects(catalog, { message: /unexpected shape/ }, body)
      await t.rejects(tags, { message: /unexpected shape/ }, body)
    } else {
      t.same(await catalog, { names, next: undefined }, body)
      t.same(await tags, names, body)
    }
  }
})

t.test('an unknown repository has no tags', async (t) => {
  const { client } = await start(t, (_request, response) => response.writeHead(404).end())
  t.same(await client.listTags('team/app'), [])
})

t.test('the next page of the catalog starts where the Link header says', async (t) => {
  const links: [string, string | undefined][] = [
    ['</v2/_catalog?last=a%2Fb&n=1000>; rel="next"', 'a/b'],
    ['</v2/_catalog?n=1000&last=x>;rel=next', 'x'],
    ['<https://registry.test/v2/_catalog?last=y>; rel="next"', 'y'],
    ['</v2/_catalog?last=x>; rel="prev"', undefined],
    ['', undefined],
  ]
  for (const [link, next] of links) {
    const { client, requests } = await start(t, (_request, response) =>
      response.setHeader('link', link).end('{"repositories":["a"]}'),
    )
    t.equal((await client.listRepositories('b/c')).next, next, link)
    t.match(requests, [/^GET \/v2\/_catalog\?n=1000&last=b%2Fc /])
    t.match(requests, [/"type":"registry","name":"catalog","actions":\["\*"\]/])
  }
})

t.test('all pages of tags are read, up to a page that links to itself', async (t) => {
  const { client, requests } = await start(t, ({ url }, response) => {
    const last = new URL(url ?? '', 'http://x').searchParams.get('last') ?? '0'
    const next = Math.min(Number(last) + 1, 3)
    return response
      .setHeader('link', `</v2/a/tags/list?last=${next}>; rel="next"`)
      .end(`{"tags":["t${last}"]}`)
  })
  t.same(await client.listTags('a'), ['t0', 't1', 't2', 't3'])
  t.equal(requests.length, 4)
})

t.test(
  'a 404 of another server is an error: a 404 of the registry deletes entries from the index',
  async (t) => {
    const { client } = await start(t, (_request, response) => {
      response.removeHeader('docker-distribution-api-version')
      return response.writeHead(404).end()
    })
    for (const call of [
      client.headManifest('team/app', 'latest'),
      client.getManifest('team/app', 'latest'),
      client.listTags('team/app'),
      client.listRepositories(undefined),
    ]) {
      const error = await call.catch((error: unknown) => error)
      t.match(error, { message: /without the header of a registry/ })
      t.equal(isRegistryRefusal(error), false, 'it ends a run of reconcile')
    }
  },
)

t.test('a response for a manifest without a digest is an error', async (t) => {
  const { client } = await start(t, (_request, response) => response.end())
  await t.rejects(client.headManifest('team/app', 'latest'), { message: /no Docker-Content-Digest/ })
  await t.rejects(client.getManifest('team/app', 'latest'), { message: /no Docker-Content-Digest/ })
})

t.test('a registry is overloaded if it responds 429 or 503, or not in time', async (t) => {
  const statuses: [number, boolean, string | undefined, number | undefined][] = [
    [429, true, '7', 7],
    [503, true, undefined, undefined],
    [503, true, 'Wed, 21 Oct 2026 07:28:00 GMT', undefined],
    [500, false, undefined, undefined],
    [502, false, undefined, undefined],
  ]
  for (const [status, isOverloaded, retryAfter, seconds] of statuses) {
    const { client } = await start(t, (_request, response) => {
      if (retryAfter !== undefined) response.setHeader('retry-after', retryAfter)
      response.writeHead(status).end()
    })
    const error = await client.headManifest('team/app', 'latest').catch((error: unknown) => error)
    t.equal(isRegistryOverloaded(error), isOverloaded, String(status))
    t.equal((error as ServiceCallError).retryAfterSeconds, seconds)
  }
  const { client } = await start(t, () => {})
  const late = await client.headManifest('team/app', 'latest').catch((error: unknown) => error)
  t.ok(isRegistryOverloaded(late), 'a timeout')
  const stopping = new AbortController()
  const stopped = await start(t, () => stopping.abort(), stopping.signal)
  t.notOk(isRegistryOverloaded(await stopped.client.listTags('a').catch((error: unknown) => error)), 'a stop')
  const { client: refused } = await start(t, (request) => request.socket.destroy())
  t.notOk(isRegistryOverloaded(await refused.listTags('a').catch((error: unknown) => error)), 'no connection')
})

t.test('the digest of a blob in S3 comes from the redirect, which is not followed', async (t) => {
  const hex = 'ab'.repeat(32)
  const stored = `http://127.0.0.1:1/bucket/docker/registry/v2/blobs/sha256/ab/${hex}/data?X-Amz-Signature=x`
  const locations: [string, string | undefined][] = [
    [stored, `sha256:${hex}`],
    [stored.replace('/data', '/link'), undefined],
    ['https://s3.test/', undefined],
    ['', undefined],
  ]
  for (const [location, digest] of locations) {
    const { client, requests } = await start(t, (_request, response) =>
      response.writeHead(307, { location }).end(),
    )
    const found = client.headBlob('team/app', `sha512:${'a'.repeat(128)}`)
    if (digest === undefined) await t.rejects(found, { message: /returned no digest/ }, location)
    else t.equal(await found, digest)
    t.equal(requests.length, 1)
    await t.rejects(client.headManifest('team/app', 'latest'), { message: /returned 307/ })
  }
})

t.test(
  'the status of an error says whether it concerns one manifest or blob, or the whole registry',
  async (t) => {
    const statuses: [number, boolean][] = [
      [500, true],
      [400, true],
      [405, true],
      [410, true],
      [401, false],
      [403, false],
      [429, false],
      [502, false],
      [503, false],
      [504, false],
    ]
    for (const [status, isRefusal] of statuses) {
      const { client } = await start(t, (_request, response) => response.writeHead(status).end())
      const error = await client.headManifest('team/app', 'latest').catch((error: unknown) => error)
      t.ok(error instanceof ServiceCallError)
      t.equal(isRegistryRefusal(error), isRefusal, String(status))
    }
    const { client } = await start(t, (request) => request.socket.destroy())
    t.equal(
      isRegistryRefusal(await client.listTags('a').catch((error: unknown) => error)),
      false,
      'no response',
    )
    t.equal(isRegistryRefusal(new ServiceCallError('x', { dependency: 'auth-service', status: 500 })), false)
    t.equal(isRegistryRefusal(new Error('x')), false)
  },
)

t.test('the signal aborts a request, even while its response arrives', async (t) => {
  for (const begin of [() => {}, (response: ServerResponse) => void response.write('{"rep')]) {
    const stopping = new AbortController()
    const { client } = await start(
      t,
      (_request, response) => {
        begin(response)
        setTimeout(() => stopping.abort(), 20)
      },
      stopping.signal,
    )
    const error = await client.listRepositories(undefined).catch((error: unknown) => error)
    t.ok(error instanceof ServiceCallError)
  }
})

t.test('the registry server of the tests serves the registry in memory', async (t) => {
  const registry = createMemoryRegistry()
  registry.pageSize = 1
  const raw = image('one')
  const digest = registry.push(raw, MANIFEST, 'v1', 'a')
  registry.push(raw, MANIFEST, 'v1', 'b/c')
  const server = await startRegistryServer(registry)
  t.teardown(server.close)
  const client = createRegistryClient({ registryUrl: server.url, serviceToken: async () => 'token' })
  t.same(await client.listRepositories(undefined), { names: ['a'], next: 'a' })
  t.same(await client.listRepositories('a'), { names: ['b/c'], next: undefined })
  t.same(await client.listTags('b/c'), ['v1'])
  t.same(await client.listTags('c'), [])
  t.equal(await client.headManifest('b/c', 'v1'), digest)
  t.same(await client.getManifest('b/c', digest), { raw, mediaType: MANIFEST, digest })
  t.equal(await client.headManifest('b/c', 'v2'), undefined)
  t.equal(await client.deleteManifest('b/c', digest), true)
  t.equal(await client.deleteManifest('b/c', digest), false)
})
