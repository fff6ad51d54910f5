import { once } from 'node:events'
import type { AddressInfo } from 'node:net'
import { connect } from 'node:net'
import t from 'tap'
import type { FrontServices } from '../../local/front.ts'
import { createFront } from '../../local/front.ts'
import { ask, askHttp2, parseRaw, sendRaw } from './fixtures/ask.ts'
import type { ServiceName } from './fixtures/ingress.ts'
import { startIngress, tell } from './fixtures/ingress.ts'

interface Told {
  readonly service: ServiceName
  readonly url: string
  readonly headers: Readonly<Record<string, string>>
}

const PATHS: readonly (readonly [path: string, service: ServiceName])[] = [
  ['/', 'image-manager'],
  ['/?x=y', 'image-manager'],
  ['/image-manager', 'image-manager'],
  ['/image-manager/', 'image-manager'],
  ['/image-manager/api/v1', 'image-manager'],
  ['/image-manager/api/v1/repositories/a/b?x=/v2/', 'image-manager'],
  ['/image-manager/api/v1/auth/token', 'auth-service'],
  ['/image-manager/api/v1/auth/token/', 'auth-service'],
  ['/image-manager/api/v1/auth/token?scope=a', 'auth-service'],
  ['/image-manager/api/v1/auth/tokens', 'image-manager'],
  ['/image-manager/api/v1/auth/token/x', 'image-manager'],
  ['/image-managers', 'auth-service'],
  ['/v2', 'registry-proxy'],
  ['/v2?x', 'registry-proxy'],
  ['/v2/', 'registry-proxy'],
  ['/v2/a/b/manifests/latest', 'registry-proxy'],
  ['/v2/a%2Fb/tags/list', 'registry-proxy'],
  ['/v2/../user', 'registry-proxy'],
  ['/v2/%2e%2e/user?x=%2F', 'registry-proxy'],
  ['/v2/a/blobs/sha256:b', 'registry-proxy'],
  ['/v2/a/blobs/uploads/', 'registry-proxy'],
  ['/v2/a/blobs/uploads/b?c=%2F', 'registry-proxy'],
  ['/%76%32/a/blobs/b', 'auth-service'],
  ['//v2/a/blobs/b', 'auth-service'],
  ['/x/../v2/a/blobs/uploads/', 'auth-service'],
  ['/v20', 'auth-service'],
  ['/V2/', 'auth-service'],
  ['/%76%32/', 'auth-service'],
  ['//v2/', 'auth-service'],
  ['/x/../v2/', 'auth-service'],
  ['/./v2/', 'auth-service'],
  ['/user?username=jane', 'auth-service'],
  ['/users', 'auth-service'],
  ['/auth/v2/token/', 'auth-service'],
  ['/auth/v2/certs', 'auth-service'],
  ['/.well-known/jwks.json', 'auth-service'],
  ['/internal/accounts/x', 'auth-service'],
  ['/metrics', 'auth-service'],
]

t.test('nginx routes as the front of npm start does, and hands the target over as it came', async (t) => {
  const ingress = await startIngress(t)
  const routing = (service: ServiceName) =>
    ({ routing: tell(service) }) as unknown as FrontServices['authService']
  const front = createFront({
    authService: routing('auth-service'),
    imageManager: routing('image-manager'),
    registryProxy: routing('registry-proxy'),
  })
  front.listen(0, '127.0.0.1')
  await once(front, 'listening')
  t.teardown(() => front.closeAllConnections())
  t.teardown(() => front.close())
  const { port } = front.address() as AddressInfo

  for (const [path, service] of PATHS) {
    const request = `GET ${path} HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n`
    const byNginx: Told = parseRaw(await sendRaw(ingress, request)).json
    t.match(byNginx, { service, url: path }, `nginx: ${path}`)
    const socket = connect(port, '127.0.0.1').end(request)
    let raw = ''
    for await (const chunk of socket) raw += chunk
    t.match(parseRaw(raw).text, JSON.stringify(service), `the front: ${path}`)
  }
})

t.test('a name in one segment stays in one segment', async (t) => {
  const ingress = await startIngress(t)
  const path = '/containerregistries/registries/1/repositories/team%2Fapp/artifacts/sha256%3Aa?x=%2f&y=+'
  for (const way of [ask, askHttp2]) {
    t.match((await way(ingress, { path })).json, { service: 'auth-service', url: path })
  }
})

const CLAIMS = {
  forwarded: 'for=203.0.113.7;proto=http;host=evil.example',
  'x-forwarded-for': '203.0.113.7',
  'x-forwarded-host': 'evil.example',
  'x-forwarded-port': '1',
  'x-forwarded-proto': 'gopher',
  'x-forwarded-by': 'evil',
  'x-forwarded-path': '/evil',
  'x-forwarded-prefix': '/evil',
  'x-forwarded-protocol': 'evil',
  'x-forwarded-scheme': 'evil',
  'x-forwarded-server': 'evil',
  'x-forwarded-ssl': 'evil',
  'x-forwarded-uri': '/evil',
  'x-forwarded-user': 'evil',
  'x-original-url': '/evil',
  'x-rewrite-url': '/evil',
  'x-real-ip': '203.0.113.7',
  'x-client-ip': '203.0.113.7',
  'true-client-ip': '203.0.113.7',
  'x-request-id': 'evil',
  via: '1.1 evil',
  proxy: 'http://evil.example',
  x_forwarded_for: '203.0.113.7',
}

t.test('who asks, and how, is said by nginx alone', async (t) => {
  const ingress = await startIngress(t)
  for (const way of [ask, askHttp2]) {
    for (const path of ['/v2/', '/user', '/']) {
      const { headers }: Told = (await way(ingress, { path, headers: { ...CLAIMS, accept: 'a/b' } })).json
      t.match(headers, {
        'x-forwarded-for': '127.0.0.1',
        'x-real-ip': '127.0.0.1',
        'x-forwarded-proto': 'https',
        'x-forwarded-port': String(ingress.httpsPort),
        'x-forwarded-host': headers['host'],
        'x-request-id': /^[0-9a-f]{32}$/,
        accept: 'a/b',
      })
      t.notMatch(JSON.stringify(headers), /evil|203\.0|gopher/, `${path}: nothing of what the client claimed`)
    }
  }
  const plain: Told = (await ask(ingress, { path: '/user', plain: true, headers: CLAIMS })).json
  t.match(plain.headers, { 'x-forwarded-for': '127.0.0.1', 'x-forwarded-proto': 'http' })
})

t.test('the host is the one that the client came by', async (t) => {
  const ingress = await startIngress(t)
  const host = 'registry.example:8443'
  t.equal(((await ask(ingress, { path: '/v2/', headers: { host } })).json as Told).headers['host'], host)
  const told: Told = (await askHttp2(ingress, { path: '/v2/', headers: { ':authority': host } })).json
  t.equal(told.headers['host'], host)
})
