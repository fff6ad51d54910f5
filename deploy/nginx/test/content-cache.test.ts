import type { RequestListener } from 'node:http'
import { setTimeout as sleep } from 'node:timers/promises'
import t from 'tap'
import { send } from './fixtures/client.ts'
import { startIngress } from './fixtures/ingress.ts'
import { locateAsRequested, locatingProxy } from './fixtures/locating-proxy.ts'

const DIGEST = `sha256:${'a'.repeat(64)}`
const TOKEN = { authorization: 'Bearer c2VjcmV0' }
const CONTENT = 'the bytes of a layer'

/** A registry with the same content below each name, except below those that are gone. */
const gone = new Set<string>()
const asked: string[] = []
const registry: RequestListener = ({ method, url = '', headers }, response) => {
  const range = /^bytes=(\d+)-(\d+)$/.exec(headers.range ?? '')
  const condition = headers['if-none-match']
  asked.push(
    [method, url.split('/')[3], condition && 'if changed', range && 'range'].filter(Boolean).join(' '),
  )
  const fixed = {
    'accept-ranges': 'bytes',
    etag: `"${DIGEST}"`,
    'cache-control': 'max-age=31536000',
    'docker-content-digest': DIGEST,
  }
  if (gone.has(url)) return response.writeHead(404).end()
  if (condition === `"${DIGEST}"`) return response.writeHead(304, fixed).end()
  if (range === null)
    return response.writeHead(200, { ...fixed, 'content-length': CONTENT.length }).end(CONTENT)
  const [from, to] = [Number(range[1]), Number(range[2])]
  response.writeHead(206, { ...fixed, 'content-range': `bytes ${from}-${to}/${CONTENT.length}` })
  return response.end(CONTENT.slice(from, to + 1))
}

const ingress = await startIngress(t, {
  authorizes: true,
  services: { 'registry-proxy': [locatingProxy(locateAsRequested)], registry: [registry] },
  variables: { CONTENT_FROM: 'cache' },
})
const pathOf = (name: string) => `/v2/team/${name}/blobs/${DIGEST}`
const read = (name: string, method = 'GET', headers = {}) =>
  send(ingress, { method, path: pathOf(name), headers: { ...TOKEN, ...headers } })
t.beforeEach(() => void (asked.length = 0))

t.test('nginx caches content that is read twice, for each repository and method', async (t) => {
  for (let number = 0; number < 5; number += 1) {
    const response = await read('app')
    t.match(response, { status: 200, text: CONTENT })
    t.match(response.headers, {
      'docker-content-digest': DIGEST,
      'cache-control': 'private, max-age=31536000',
    })
  }
  t.same(asked, ['GET app', 'GET app'])
  await read('app', 'HEAD')
  await read('other')
  t.same(asked, ['GET app', 'GET app', 'HEAD app', 'GET other'])
})

t.test('nginx asks the registry again within 2 s, and transfers nothing if it has the content', async (t) => {
  for (let number = 0; number < 3; number += 1) await read('again')
  await sleep(2000)
  t.match(await read('again'), { status: 200, text: CONTENT })
  t.same(asked, ['GET again', 'GET again', 'GET again if changed'])
})

t.test('nginx requests a manifest again: the registry knows its ETag even if it was deleted', async (t) => {
  const path = `/v2/team/image/manifests/${DIGEST}`
  for (let number = 0; number < 3; number += 1) await send(ingress, { path, headers: TOKEN })
  await sleep(2000)
  t.match(await send(ingress, { path, headers: TOKEN }), { status: 200, text: CONTENT })
  t.same(asked, ['GET image', 'GET image', 'GET image'])
})

t.test('nginx no longer sends deleted content after 2 s', async (t) => {
  for (let number = 0; number < 3; number += 1) await read('deleted')
  gone.add(pathOf('deleted'))
  await sleep(2000)
  t.match((await read('deleted')).json, { service: 'registry-proxy' })
  t.match((await read('deleted')).json, { service: 'registry-proxy' })
  gone.clear()
})

t.test('nginx tells only the services that deleted content may still be cached', async (t) => {
  const { json } = await send(ingress, { method: 'DELETE', path: pathOf('app'), headers: TOKEN })
  t.match(json, { service: 'registry-proxy', headers: { 'x-content-cached': '2' } })
  const others = await send(ingress, { method: 'DELETE', path: '/image-manager/api/v1/x', headers: TOKEN })
  t.match(others.json, { service: 'image-manager', headers: { 'x-content-cached': '2' } })
})

t.test('a range of a stored blob comes from the cache, and of another one from the registry', async (t) => {
  t.match(await read('ranges', 'GET', { range: 'bytes=4-8' }), { status: 206, text: 'bytes' })
  t.same(asked, ['GET ranges range'])
  for (let number = 0; number < 3; number += 1) await read('ranges')
  asked.length = 0
  t.match(await read('ranges', 'GET', { range: 'bytes=15-19' }), { status: 206, text: 'layer' })
  t.same(asked, [])
})
