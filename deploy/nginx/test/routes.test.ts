import { once } from 'node:events'
import type { AddressInfo } from 'node:net'
import { connect } from 'node:net'
import t from 'tap'
import type { RoutedServices } from '../../local/embedded-router.ts'
import { createEmbeddedRouter } from '../../local/embedded-router.ts'
import { send, sendHttp2, parseRaw, sendRaw } from './fixtures/client.ts'
import type { ServiceName } from './fixtures/ingress.ts'
import { startIngress, echo } from './fixtures/ingress.ts'

interface Echo {
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
  ['/docs/auth', 'auth-service'],
  ['/docs/auth/json', 'auth-service'],
  ['/docs/images', 'image-manager'],
  ['/docs/images/', 'image-manager'],
  ['/docs/images/json', 'image-manager'],
  ['/docs/imagesx', 'auth-service'],
  ['/docs/registry', 'registry-proxy'],
  ['/docs/registry?x=/docs/images', 'registry-proxy'],
  ['/docs/registry/json', 'registry-proxy'],
  ['/docs/registryx', 'auth-service'],
  ['/namespaces', 'auth-service'],
  ['/namespaces/team/grants', 'auth-service'],
  ['/namespaces/team/trust-rules/immutability', 'auth-service'],
  ['/namespaces/team/immutability', 'image-manager'],
  ['/namespaces/team%2Fapp/immutability/', 'image-manager'],
  ['/namespaces/team/quota', 'image-manager'],
  ['/namespaces/team/usage', 'image-manager'],
  ['/storage', 'image-manager'],
  ['/storage/collection', 'image-manager'],
  ['/storagex', 'auth-service'],
  ['/namespaces/*/trash', 'image-manager'],
  ['/namespaces/team%2Fapp/trash/', 'image-manager'],
  ['/namespaces/team/trash/0', 'image-manager'],
  ['/namespaces/team/trash/0/restore', 'image-manager'],
  ['/namespaces/team/trash/0/purge', 'auth-service'],
  ['/namespaces/team/immutabilityx', 'auth-service'],
  ['/namespaces/team/retention', 'image-manager'],
  ['/namespaces/team/retention/dry-run', 'image-manager'],
  ['/namespaces/team%2Fapp/retention/runs/', 'image-manager'],
  ['/namespaces/team/retention/x', 'auth-service'],
  ['/namespaces//immutability', 'auth-service'],
  ['/namespaces/immutability', 'auth-service'],
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
  ['/audit?principal=jane', 'auth-service'],
  ['/sign-in?return_to=/v2/', 'auth-service'],
  ['/sign-out', 'auth-service'],
  ['/oidc/corp/callback?code=x&state=y', 'auth-service'],
  ['/auth/v2/token/', 'auth-service'],
  ['/auth/v2/certs', 'auth-service'],
  ['/.well-known/jwks.json', 'auth-service'],
  ['/internal/accounts/x', 'auth-service'],
  ['/metrics', 'auth-service'],
]

t.test(
  'nginx routes every path to the same service as npm start, and forwards the request target unchanged',
  async (t) => {
    const ingress = await startIngress(t)
    const routing = (service: ServiceName) =>
      ({ routing: echo(service) }) as unknown as RoutedServices['authService']
    const front = createEmbeddedRouter({
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
      const byNginx: Echo = parseRaw(await sendRaw(ingress, request)).json
      t.match(byNginx, { service, url: path }, `nginx: ${path}`)
      const socket = connect(port, '127.0.0.1').end(request)
      let raw = ''
      for await (const chunk of socket) raw += chunk
      t.match(parseRaw(raw).text, JSON.stringify(service), `the front: ${path}`)
    }
  },
)

t.test('nginx keeps percent-encoded slashes in a path segment', async (t) => {
  const ingress = await startIngress(t)
  const path = '/containerregistries/registries/1/repositories/team%2Fapp/artifacts/sha256%3Aa?x=%2f&y=+'
  for (const sendRequest of [send, sendHttp2]) {
    t.match((await sendRequest(ingress, { path })).json, { service: 'auth-service', url: path })
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

t.test("nginx replaces a client's headers about address, scheme and host by its own", async (t) => {
  const ingress = await startIngress(t)
  for (const sendRequest of [send, sendHttp2]) {
    for (const path of ['/v2/', '/user', '/']) {
      const { headers }: Echo = (await sendRequest(ingress, { path, headers: { ...CLAIMS, accept: 'a/b' } }))
        .json
      t.match(headers, {
        'x-forwarded-for': '127.0.0.1',
        'x-real-ip': '127.0.0.1',
        'x-forwarded-proto': 'https',
        'x-forwarded-port': String(ingress.httpsPort),
        'x-forwarded-host': headers['host'],
        'x-request-id': /^[0-9a-f]{32}$/,
        accept: 'a/b',
      })
      t.notMatch(JSON.stringify(headers), /evil|203\.0|gopher/, `${path}: no value of the client`)
    }
  }
  const plain: Echo = (await send(ingress, { path: '/user', plain: true, headers: CLAIMS })).json
  t.match(plain.headers, { 'x-forwarded-for': '127.0.0.1', 'x-forwarded-proto': 'http' })
})

t.test('nginx forwards the Host of the client with its port', async (t) => {
  const ingress = await startIngress(t)
  const host = 'registry.example:8443'
  t.equal(((await send(ingress, { path: '/v2/', headers: { host } })).json as Echo).headers['host'], host)
  const echoed: Echo = (await sendHttp2(ingress, { path: '/v2/', headers: { ':authority': host } })).json
  t.equal(echoed.headers['host'], host)
})
