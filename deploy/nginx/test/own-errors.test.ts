import type { RequestListener } from 'node:http'
import type { Test } from 'tap'
import t from 'tap'
import { ERROR_CODES } from '../../../packages/oci/src/error-codes.ts'
import type { ClientResponse } from './fixtures/client.ts'
import { send, sendHttp2, parseRaw, sendRaw } from './fixtures/client.ts'
import { SERVICE_NAMES, startIngress } from './fixtures/ingress.ts'

/** Statuses that nginx itself may respond with, and their codes of the registry API. */
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
/** Statuses after which a client may retry. */
const RETRYABLE = new Set([429, 502, 503, 504])

type Status = keyof typeof OWN

/** Checks an error of nginx itself: below /v2/ the registry API's format, elsewhere RFC 9457. */
function isOwnError(
  t: Test,
  path: string,
  { status, headers, text, json }: ClientResponse,
  expected: Status,
) {
  const name = `${expected} at ${path}`
  t.equal(status, expected, name)
  t.notMatch(text, /<html|nginx/i, `${name}: no HTML page`)
  t.equal(headers['server'], 'nginx', `${name}: the version of nginx is not shown`)
  const retryAfter = headers['retry-after']
  if (RETRYABLE.has(expected)) t.match(retryAfter, /^\d+$/, `${name}: Retry-After`)
  else t.equal(retryAfter, undefined)
  if (path.startsWith('/v2/')) {
    const { code } = (json as { errors: { code: string }[] }).errors[0] ?? { code: '' }
    t.match(json, { errors: [{ code: OWN[expected], message: /\w/, detail: null }] }, name)
    t.ok(code in ERROR_CODES, `${name}: a known code of the registry API`)
    t.equal(headers['content-type'], 'application/json')
    t.equal(headers['docker-distribution-api-version'], 'registry/2.0')
  } else {
    t.match(json, { type: 'about:blank', status: expected, detail: /\w/ }, name)
    t.equal(headers['content-type'], 'application/problem+json')
  }
}

t.test("nginx's own errors have the format of the API that the client called", async (t) => {
  const codes = Object.keys(OWN).map(Number) as Status[]
  const locations = ['/v2', '/user'].flatMap((place) =>
    codes.map((code) => `location = ${place}/own/${code} { return ${code === 431 ? 494 : code}; }`),
  )
  const edit = (config: string) => config.replace('server_name _;', `server_name _; ${locations.join('\n')}`)
  const ingress = await startIngress(t, { edit })
  for (const code of codes) {
    for (const path of [`/v2/own/${code}`, `/user/own/${code}`]) {
      isOwnError(t, path, await send(ingress, { path }), code)
      isOwnError(t, path, await send(ingress, { path, method: 'POST', body: 'x' }), code)
      isOwnError(t, path, await sendHttp2(ingress, { path }), code)
      const head = await send(ingress, { path, method: 'HEAD' })
      t.match(head, { status: code, text: '' }, 'HEAD has no body')
    }
  }
})

t.test(
  'nginx responds 502 in the format of the API if no replica of a service accepts connections',
  async (t) => {
    const services = Object.fromEntries(SERVICE_NAMES.map((name) => [name, [undefined, undefined]]))
    const ingress = await startIngress(t, { services })
    for (const path of ['/v2/', '/v2/a/blobs/uploads/', '/user', '/image-manager']) {
      for (const method of ['GET', 'POST', 'DELETE']) {
        isOwnError(t, path, await send(ingress, { path, method }), 502)
        isOwnError(t, path, await sendHttp2(ingress, { path, method }), 502)
      }
    }
  },
)

t.test('nginx responds 504 in the format of the API if a service does not respond in time', async (t) => {
  const silent: RequestListener = (request) => void request.resume()
  const services = Object.fromEntries(SERVICE_NAMES.map((name) => [name, [silent]]))
  // The real time-outs are minutes.
  const edit = (config: string) => config.replaceAll(/proxy_read_timeout \d+s/g, 'proxy_read_timeout 1s')
  const ingress = await startIngress(t, { services, edit })
  for (const path of ['/v2/', '/user']) isOwnError(t, path, await send(ingress, { path }), 504)
})

t.test('nginx responds 413 to a large body, except below /v2/', async (t) => {
  const ingress = await startIngress(t)
  const body = Buffer.alloc((9 << 20) + 1)
  for (const sendRequest of [send, sendHttp2]) {
    isOwnError(t, '/user', await sendRequest(ingress, { method: 'POST', path: '/user', body }), 413)
    const taken = await sendRequest(ingress, { method: 'POST', path: '/v2/a/blobs/uploads/', body })
    t.match(taken, { status: 200, json: { received: body.length } }, '/v2/ has no size limit')
  }
})

t.test('nginx responds 414 to a long URI and 431 to long headers, and accepts long tokens', async (t) => {
  const ingress = await startIngress(t)
  const long = 'x'.repeat(20_000)
  const twice = { a: long.slice(0, 15_000), b: long.slice(0, 15_000), c: long.slice(0, 15_000) }
  for (const path of ['/v2/', '/user']) {
    isOwnError(t, path, await send(ingress, { path: `${path}?${long}` }), 414)
    isOwnError(t, path, await send(ingress, { path, headers: { a: long } }), 431)
    isOwnError(t, path, await send(ingress, { path, headers: twice }), 431)
    const fits = { authorization: `Bearer ${long.slice(0, 15_000)}`, b: long.slice(0, 10_000) }
    t.match(await send(ingress, { path, headers: fits }), { status: 200 }, 'a long token is accepted')
  }
})

t.test('nginx responds to malformed requests in the format of the API', async (t) => {
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

t.test('nginx forwards errors of the services unchanged', async (t) => {
  const statuses = [400, 401, 403, 404, 413, 429, 500, 502, 503, 504]
  const refuse: RequestListener = (request, response) => {
    response.writeHead(Number(request.url?.split('/').at(-1)) || 200, {
      'retry-after': '7',
      'content-type': 'a/b',
    })
    response.end('unchanged')
  }
  const services = { 'registry-proxy': [refuse], 'auth-service': [refuse] }
  const ingress = await startIngress(t, { services })
  for (const status of statuses) {
    for (const path of [`/v2/${status}`, `/user/${status}`]) {
      const response = await send(ingress, { path })
      t.match(
        response,
        { status, text: 'unchanged', headers: { 'retry-after': '7', 'content-type': 'a/b' } },
        path,
      )
    }
  }
})

t.test('clients cannot request the internal error locations', async (t) => {
  const ingress = await startIngress(t)
  for (const path of ['/.errors/oci', '/.errors/problem']) {
    t.match(await send(ingress, { path }), {
      status: 404,
      headers: { 'content-type': 'application/problem+json' },
    })
  }
})
