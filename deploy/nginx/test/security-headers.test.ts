import type { RequestListener } from 'node:http'
import t from 'tap'
import { send, parseRaw, sendRaw } from './fixtures/client.ts'
import { locateAsRequested, locatingProxy } from './fixtures/locating-proxy.ts'
import { startIngress } from './fixtures/ingress.ts'

const HSTS = 'strict-transport-security'
const BLOB = `/v2/team/app/blobs/sha256:${'a'.repeat(64)}`
const TOKEN = { authorization: 'Bearer x' }

/** A registry-proxy that permits every request. */
const permitting = locatingProxy(locateAsRequested, [], (_request, response) => {
  response.writeHead(200, { 'cache-control': 'private, no-cache' }).end()
})

t.test('nginx sends Strict-Transport-Security, except for local hosts and over plain HTTP', async (t) => {
  const ingress = await startIngress(t, { services: { 'registry-proxy': [permitting] }, authorizes: true })
  for (const path of ['/user', '/v2/', BLOB, '/v2/team/app/blobs/uploads/u1', '/.errors/oci']) {
    const hstsOf = async (host: string, plain = false) =>
      (await send(ingress, { path, headers: { host }, plain })).headers[HSTS]
    t.equal(await hstsOf('registry.example'), 'max-age=31536000', path)
    for (const host of ['localhost', 'localhost:8443', '127.0.0.1:8443', '[::1]:8443']) {
      t.equal(await hstsOf(host), undefined, `${path} at ${host}`)
    }
    t.equal(await hstsOf('registry.example', true), undefined, `${path} over plain HTTP (RFC 6797, 7.2)`)
  }
})

t.test('blobs that nginx forwards are marked private and otherwise as the registry marks them', async (t) => {
  const cases = {
    'max-age=31536000': 'private, max-age=31536000',
    'no-store': 'no-store',
    'private, max-age=1': 'private, max-age=1',
  }
  for (const [sent, expected] of Object.entries(cases)) {
    const registry: RequestListener = (_request, response) =>
      void response.writeHead(200, { 'cache-control': sent, 'x-content-type-options': 'nosniff' }).end('blob')
    const services = { 'registry-proxy': [permitting], registry: [registry] }
    const ingress = await startIngress(t, { services, authorizes: true })
    const { status, text, headers } = await send(ingress, { path: BLOB, headers: TOKEN })
    t.strictSame([status, text], [200, 'blob'])
    t.equal(headers['cache-control'], expected)
    t.equal(headers['x-content-type-options'], 'nosniff')
  }
})

t.test("nginx's own errors have X-Content-Type-Options: nosniff", async (t) => {
  const ingress = await startIngress(t, {
    services: { 'registry-proxy': [undefined], 'auth-service': [undefined] },
  })
  for (const path of ['/v2/', '/user']) {
    t.match(await send(ingress, { path }), { status: 502, headers: { 'x-content-type-options': 'nosniff' } })
  }
})

t.test('plain HTTP on a TLS port is redirected to HTTPS with its method kept', async (t) => {
  const ingress = await startIngress(t)
  const wrongPort = { ...ingress, plainPort: ingress.httpsPort }
  const host = `localhost:${ingress.httpsPort}`
  for (const method of ['GET', 'POST', 'PUT']) {
    for (const path of ['/v2/', '/v2/team/app/manifests/1?x=%20y', '/user']) {
      const { status, headers } = await send(wrongPort, {
        method,
        path,
        plain: true,
        headers: { host },
        body: method === 'GET' ? undefined : 'x',
      })
      t.equal(status, 308, `${method} ${path}`)
      t.equal(headers['location'], `https://${host}${path}`)
    }
  }
  const old = parseRaw(await sendRaw(wrongPort, 'GET /v2/ HTTP/1.0\r\n\r\n'))
  t.match(
    old,
    { status: 308, headers: { location: `https://127.0.0.1:${ingress.httpsPort}/v2/` } },
    'without Host',
  )
})
