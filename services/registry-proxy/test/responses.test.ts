import { repositoryAccess } from '@registry-manager/oci'
import t from 'tap'
import { sendRequest } from './fixtures/send-request.ts'
import { startProxy } from './fixtures/proxy.ts'
import { sendRaw } from './fixtures/raw-connection.ts'
import { respondWith } from './fixtures/recording-upstream.ts'
import { DIGEST } from './fixtures/requests.ts'

const { port, upstream, bearer } = await startProxy(t)
const authorization = bearer([repositoryAccess('team/app', 'pull')])

/** Method, target and status. */
const CASES: readonly [string, string, number][] = [
  ['GET', '/v2/', 200],
  ['GET', '/v2', 200],
  ['GET', '/v2/team/app/manifests/latest', 200],
  ['PUT', '/v2/team/app/manifests/latest', 401],
  ['GET', '/v2/other/app/manifests/latest', 401],
  ['GET', '/v2/team/app/manifests/-', 404],
  ['PUT', '/v2/team/app/manifests/-', 400],
  ['GET', `/v2/team/app/manifests/${'x'.repeat(129)}`, 404],
  ['GET', '/v2/team/app/manifests/a%20tag', 404],
  ['DELETE', '/v2/team/app/manifests/a%20tag', 404],
  ['GET', '/v2/team/app/manifests/%zz', 400],
  ['GET', '/v2/%zz/manifests/latest', 400],
  ['TRACE', '/v2/', 405],
  ['TRACE', `/v2/team/app/blobs/${DIGEST}`, 405],
  ['PROPFIND', '/v2/team/app/manifests/latest', 405],
  ['PROPFIND', '/v2/nothing', 404],
  ['GET', `/v2/team/app/blobs/${DIGEST}`, 200],
  ['GET', '/v2/team/app/blobs/sha256:abc', 400],
  ['GET', '/v2/TEAM/app/manifests/latest', 400],
  ['GET', '/v2/nothing', 404],
  ['POST', '/v2/', 405],
  ['OPTIONS', '/v2/', 405],
  ['PATCH', `/v2/team/app/blobs/${DIGEST}`, 405],
  ['PUT', '/v2/team/app/blobs/uploads/u', 400],
  ['GET', '/v2/team/app/tags/list?n=x', 400],
  ['GET', '/v2/team/app/tags/list', 200],
  ['GET', `/v2/team/app/referrers/${DIGEST}`, 200],
]

for (const [method, target, status] of CASES) {
  t.test(`${method} ${target} gets ${status} with the headers of the registry API`, async (t) => {
    // The registry sends this header as well. The client gets it once.
    upstream.respond = respondWith(200, { 'docker-distribution-api-version': 'registry/2.0' })
    const response = await sendRequest(port, target, { method, authorization })
    t.equal(response.status, status)
    t.equal(response.headers['docker-distribution-api-version'], 'registry/2.0')
    t.equal(response.headers['x-content-type-options'], 'nosniff')
    if (status === 405) t.match(response.headers['allow'], /^GET, HEAD/)
    if (status >= 400) t.type(response.code, 'string', 'the body is an error of the registry API')
  })
}

const ALLOWED: readonly [string, string, string][] = [
  ['POST', '/v2/', 'GET, HEAD'],
  ['POST', '/v2/team/app/manifests/latest', 'GET, HEAD, PUT, DELETE'],
  ['PUT', `/v2/team/app/blobs/${DIGEST}`, 'GET, HEAD, DELETE'],
  ['GET', '/v2/team/app/blobs/uploads/', 'POST'],
  ['POST', '/v2/team/app/blobs/uploads/u', 'GET, HEAD, PATCH, PUT, DELETE'],
]

for (const [method, target, allowed] of ALLOWED) {
  t.test(`the 405 to ${method} ${target} lists the allowed methods`, async (t) => {
    const response = await sendRequest(port, target, { method, authorization })
    t.equal(response.status, 405)
    t.equal(response.code, 'UNSUPPORTED')
    t.equal(response.headers['allow'], allowed)
  })
}

t.test('a path outside /v2/ is 404 and does not reach the registry', async (t) => {
  upstream.requests.length = 0
  for (const target of [
    '/',
    '/v1/',
    '/v3/',
    '/v2x/team/app/tags/list',
    '/auth/v2/token',
    '/livez',
    '/metrics',
  ]) {
    t.equal((await sendRequest(port, target, { authorization })).status, 404, target)
  }
  t.same(upstream.requests, [])
})

const HEADERS = 'Host: x\r\nConnection: close\r\n'
const manifest = '/v2/team/app/manifests/latest'

const REFUSED: readonly [string, string, RegExp][] = [
  ['no credentials', manifest, /^HTTP\/1\.1 401 [\s\S]*www-authenticate: Bearer realm=/],
  ['an invalid name', '/v2/Team/app/manifests/latest', /^HTTP\/1\.1 400 /],
  ['no endpoint', '/v2/team', /^HTTP\/1\.1 404 /],
]

for (const [what, target, expected] of REFUSED) {
  t.test(`a refused HEAD has headers and no body: ${what}`, async (t) => {
    const received = await sendRaw(port, `HEAD ${target} HTTP/1.1\r\n${HEADERS}\r\n`)
    t.match(received, expected)
    t.match(received, /^content-length: [1-9]/im, 'the length of the body that a GET gets')
    t.match(received, /^docker-distribution-api-version: registry\/2\.0\r$/im)
    t.ok(received.endsWith('\r\n\r\n'), 'the response ends with its headers')
  })
}

t.test('the response to HEAD of a manifest has the length of the manifest', async (t) => {
  upstream.requests.length = 0
  upstream.respond = respondWith(200, { 'content-length': '1234', 'content-type': 'text/x' })
  const received = await sendRaw(
    port,
    `HEAD ${manifest} HTTP/1.1\r\n${HEADERS}Authorization: ${authorization}\r\n\r\n`,
  )
  t.match(received, /^HTTP\/1\.1 200 /)
  t.match(received, /^content-length: 1234\r$/im)
  t.ok(received.endsWith('\r\n\r\n'))
  t.equal(upstream.only().method, 'HEAD')
})
