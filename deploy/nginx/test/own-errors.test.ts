import type { RequestListener } from 'node:http'
import type { Test } from 'tap'
import t from 'tap'
import { ERROR_CODES } from '../../../packages/oci/src/error-codes.ts'
import type { Answer } from './fixtures/ask.ts'
import { ask, askHttp2, parseRaw, sendRaw } from './fixtures/ask.ts'
import { SERVICE_NAMES, startIngress } from './fixtures/ingress.ts'

/** What nginx may answer by itself, and the code by which the registry API calls it. */
const OWN = {
  400: 'UNSUPPORTED',
  405: 'UNSUPPORTED',
  413: 'SIZE_INVALID',
  414: 'UNSUPPORTED',
  429: 'TOOMANYREQUESTS',
  431: 'UNSUPPORTED',
  500: 'UNKNOWN',
  501: 'UNKNOWN',
  502: 'UNAVAILABLE',
  503: 'UNAVAILABLE',
  504: 'UNAVAILABLE',
} as const
/** Those after which it is worth trying again. */
const PASSING = new Set([429, 502, 503, 504])

type Status = keyof typeof OWN

/** Checks an error of nginx's own: under /v2/ as the registry API tells errors, elsewhere as RFC 9457 does. */
function isOwnError(t: Test, path: string, { status, headers, text, json }: Answer, expected: Status) {
  const name = `${expected} at ${path}`
  t.equal(status, expected, name)
  t.notMatch(text, /<html|nginx/i, `${name}: no page`)
  t.equal(headers['server'], 'nginx', `${name}: no version`)
  const retryAfter = headers['retry-after']
  if (PASSING.has(expected)) t.match(retryAfter, /^\d+$/, `${name}: when to try again`)
  else t.equal(retryAfter, undefined)
  if (path.startsWith('/v2/')) {
    const { code } = (json as { errors: { code: string }[] }).errors[0] ?? { code: '' }
    t.match(json, { errors: [{ code: OWN[expected], message: /\w/, detail: null }] }, name)
    t.ok(code in ERROR_CODES, `${name}: a code of the registry API`)
    t.equal(headers['content-type'], 'application/json')
    t.equal(headers['docker-distribution-api-version'], 'registry/2.0')
  } else {
    t.match(json, { type: 'about:blank', status: expected, detail: /\w/ }, name)
    t.equal(headers['content-type'], 'application/problem+json')
  }
}

t.test('each is told as the API tells errors that was asked', async (t) => {
  const codes = Object.keys(OWN).map(Number) as Status[]
  const locations = ['/v2', '/user'].flatMap((place) =>
    codes.map((code) => `location = ${place}/own/${code} { return ${code === 431 ? 494 : code}; }`),
  )
  const edit = (config: string) => config.replace('server_name _;', `server_name _; ${locations.join('\n')}`)
  const ingress = await startIngress(t, { edit })
  for (const code of codes) {
    for (const path of [`/v2/own/${code}`, `/user/own/${code}`]) {
      isOwnError(t, path, await ask(ingress, { path }), code)
      isOwnError(t, path, await ask(ingress, { path, method: 'POST', body: 'x' }), code)
      isOwnError(t, path, await askHttp2(ingress, { path }), code)
      const head = await ask(ingress, { path, method: 'HEAD' })
      t.match(head, { status: code, text: '' }, 'HEAD has no body')
    }
  }
})

t.test('a service that is not there', async (t) => {
  const services = Object.fromEntries(SERVICE_NAMES.map((name) => [name, [undefined, undefined]]))
  const ingress = await startIngress(t, { services })
  for (const path of ['/v2/', '/v2/a/blobs/uploads/', '/user', '/image-manager']) {
    for (const method of ['GET', 'POST', 'DELETE']) {
      isOwnError(t, path, await ask(ingress, { path, method }), 502)
      isOwnError(t, path, await askHttp2(ingress, { path, method }), 502)
    }
  }
})

t.test('a service that does not answer', async (t) => {
  const silent: RequestListener = (request) => void request.resume()
  const services = Object.fromEntries(SERVICE_NAMES.map((name) => [name, [silent]]))
  // As it is, it may take a service minutes.
  const edit = (config: string) => config.replaceAll(/proxy_read_timeout \d+s/g, 'proxy_read_timeout 1s')
  const ingress = await startIngress(t, { services, edit })
  for (const path of ['/v2/', '/user']) isOwnError(t, path, await ask(ingress, { path }), 504)
})

t.test('a body that is too large', async (t) => {
  const ingress = await startIngress(t)
  const body = Buffer.alloc((1 << 20) + 1)
  for (const way of [ask, askHttp2]) {
    isOwnError(t, '/user', await way(ingress, { method: 'POST', path: '/user', body }), 413)
    const taken = await way(ingress, { method: 'POST', path: '/v2/a/blobs/uploads/', body })
    t.match(taken, { status: 200, json: { received: body.length } }, 'under /v2/ there is no limit')
  }
})

t.test('a head that is too long', async (t) => {
  const ingress = await startIngress(t)
  const long = 'x'.repeat(20_000)
  const twice = { a: long.slice(0, 15_000), b: long.slice(0, 15_000), c: long.slice(0, 15_000) }
  for (const path of ['/v2/', '/user']) {
    isOwnError(t, path, await ask(ingress, { path: `${path}?${long}` }), 414)
    isOwnError(t, path, await ask(ingress, { path, headers: { a: long } }), 431)
    isOwnError(t, path, await ask(ingress, { path, headers: twice }), 431)
    const fits = { authorization: `Bearer ${long.slice(0, 15_000)}`, b: long.slice(0, 10_000) }
    t.match(await ask(ingress, { path, headers: fits }), { status: 200 }, 'tokens may be long')
  }
})

t.test('a request that is none', async (t) => {
  const ingress = await startIngress(t)
  const cases: [string, Status, string][] = [
    ['GET /v2/ HTTP/1.1\r\nHost: a b\r\n\r\n', 400, '/v2/'],
    ['GET /v2/ HTTP/1.1\r\n\r\n', 400, '/v2/'],
    ['GET /user HTTP/1.1\r\n\r\n', 400, '/user'],
    ['rubbish\r\n\r\n', 400, '?'],
    ['TRACE /v2/ HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n', 405, '/v2/'],
    ['POST /v2/ HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: gzip\r\n\r\n', 501, '/v2/'],
    ['POST /v2/ HTTP/1.1\r\nHost: a\r\nContent-Length: 1\r\nTransfer-Encoding: chunked\r\n\r\n', 400, '/v2/'],
    ['POST /v2/ HTTP/1.1\r\nHost: a\r\nContent-Length: x\r\n\r\n', 400, '/v2/'],
    ['POST /v2/ HTTP/1.1\r\nHost: a\r\nContent-Length: 1\r\nContent-Length: 2\r\n\r\n', 400, '/v2/'],
  ]
  for (const [text, status, path] of cases) {
    isOwnError(t, path, parseRaw(await sendRaw(ingress, text)), status)
  }
})

t.test("the services' own errors pass as they are", async (t) => {
  const statuses = [400, 401, 403, 404, 413, 429, 500, 502, 503, 504]
  const refuse: RequestListener = (request, response) => {
    response.writeHead(Number(request.url?.split('/').at(-1)) || 200, {
      'retry-after': '7',
      'content-type': 'a/b',
    })
    response.end('as it is')
  }
  const services = { 'registry-proxy': [refuse], 'auth-service': [refuse] }
  const ingress = await startIngress(t, { services })
  for (const status of statuses) {
    for (const path of [`/v2/${status}`, `/user/${status}`]) {
      const answer = await ask(ingress, { path })
      t.match(
        answer,
        { status, text: 'as it is', headers: { 'retry-after': '7', 'content-type': 'a/b' } },
        path,
      )
    }
  }
})

t.test('where errors are written from cannot be asked for', async (t) => {
  const ingress = await startIngress(t)
  for (const path of ['/.errors/oci', '/.errors/problem']) {
    t.match(await ask(ingress, { path }), {
      status: 404,
      headers: { 'content-type': 'application/problem+json' },
    })
  }
})
