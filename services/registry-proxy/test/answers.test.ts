import { repositoryAccess } from '@registry-manager/oci'
import t from 'tap'
import { ask } from './fixtures/ask.ts'
import { startProxy } from './fixtures/proxy.ts'
import { sendRaw } from './fixtures/raw-connection.ts'
import { answerWith } from './fixtures/recording-upstream.ts'
import { DIGEST } from './fixtures/requests.ts'

const { port, upstream, bearer } = await startProxy(t)
const authorization = bearer([repositoryAccess('team/app', 'pull')])

/** Method, target and status; whoever asks, the answer says which API it is. */
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
  t.test(`${method} ${target} answers ${status} as registry/2.0`, async (t) => {
    // What the registry says of itself is not repeated beside what the proxy says.
    upstream.answer = answerWith(200, { 'docker-distribution-api-version': 'registry/2.0' })
    const answer = await ask(port, target, { method, authorization })
    t.equal(answer.status, status)
    t.equal(answer.headers['docker-distribution-api-version'], 'registry/2.0')
    t.equal(answer.headers['x-content-type-options'], 'nosniff')
    if (status === 405) t.match(answer.headers['allow'], /^GET, HEAD/)
    if (status >= 400) t.type(answer.code, 'string', 'the body is an error of the registry API')
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
  t.test(`${method} ${target} is told what is allowed`, async (t) => {
    const answer = await ask(port, target, { method, authorization })
    t.equal(answer.status, 405)
    t.equal(answer.code, 'UNSUPPORTED')
    t.equal(answer.headers['allow'], allowed)
  })
}

t.test('what is not under /v2/ is 404, and never reaches the registry', async (t) => {
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
    t.equal((await ask(port, target, { authorization })).status, 404, target)
  }
  t.same(upstream.requests, [])
})

const HEADERS = 'Host: x\r\nConnection: close\r\n'
const manifest = '/v2/team/app/manifests/latest'

const REFUSED: readonly [string, string, RegExp][] = [
  ['without credentials', manifest, /^HTTP\/1\.1 401 [\s\S]*www-authenticate: Bearer realm=/],
  ['for a bad name', '/v2/Team/app/manifests/latest', /^HTTP\/1\.1 400 /],
  ['for no endpoint', '/v2/team', /^HTTP\/1\.1 404 /],
]

for (const [what, target, expected] of REFUSED) {
  t.test(`HEAD refused ${what} has headers and no body`, async (t) => {
    const received = await sendRaw(port, `HEAD ${target} HTTP/1.1\r\n${HEADERS}\r\n`)
    t.match(received, expected)
    t.match(received, /^content-length: [1-9]/im, 'of the body that a GET would have')
    t.match(received, /^docker-distribution-api-version: registry\/2\.0\r$/im)
    t.ok(received.endsWith('\r\n\r\n'), 'nothing after the headers')
  })
}

t.test('HEAD of a manifest tells its length', async (t) => {
  upstream.requests.length = 0
  upstream.answer = answerWith(200, { 'content-length': '1234', 'content-type': 'text/x' })
  const received = await sendRaw(
    port,
    `HEAD ${manifest} HTTP/1.1\r\n${HEADERS}Authorization: ${authorization}\r\n\r\n`,
  )
  t.match(received, /^HTTP\/1\.1 200 /)
  t.match(received, /^content-length: 1234\r$/im)
  t.ok(received.endsWith('\r\n\r\n'))
  t.equal(upstream.only().method, 'HEAD')
})
