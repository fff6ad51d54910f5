import type { RequestListener } from 'node:http'
import t from 'tap'
import { until } from '@registry-manager/testing/until'
import { send, sendHttp2 } from './fixtures/client.ts'
import { echo, startIngress } from './fixtures/ingress.ts'

const AUTHORIZATION = { authorization: 'Bearer x' }
const blob = (digit: string) => `/v2/team/app/blobs/sha256:${digit.repeat(64)}`
const [OF_JANE, OF_NOBODY, REFUSED] = [blob('1'), blob('2'), blob('3')]
const UPLOAD = '/v2/team/app/blobs/uploads/u1?_state=s&_binding=b'

/** Names an account in its response if nginx asks for that. */
const naming =
  (service: string, account: string): RequestListener =>
  (request, response) => {
    if (request.headers['x-log-account'] === '1') response.setHeader('x-account', account)
    return echo(service)(request, response)
  }

/** Authorizes all but one blob. Names no account for another one, as a previous version does. */
const proxy: RequestListener = (request, response) => {
  const { url = '' } = request
  if (request.headers['x-decide-only'] === undefined)
    return naming('registry-proxy', 'jane')(request, response)
  if (url === REFUSED || url.includes('/manifests/'))
    return response.writeHead(401, { 'x-account': 'someone' }).end()
  const account = url === OF_NOBODY ? {} : { 'x-account': 'jane' }
  const decided =
    request.method === 'GET'
      ? { 'x-decided-content': url.replace(/^\/v2\/(.+)\/blobs\//, '/.content/blobs/$1/') }
      : { 'x-decided-uri': url, 'x-decided-authorization': 'Bearer y' }
  return response.writeHead(200, { ...decided, ...account }).end()
}

t.test(
  'the access log names the account that the service authenticated, and no client sees it',
  async (t) => {
    const services = {
      'auth-service': [naming('auth-service', 'j%C3%A4ne')],
      'image-manager': [undefined],
      'registry-proxy': [proxy],
      registry: [naming('registry', 'forged')],
    }
    const ingress = await startIngress(t, { authorizes: true, services })
    const expected: readonly (readonly [method: string, path: string, service: string, account: string])[] = [
      ['GET', '/user', 'auth-service', 'j%C3%A4ne'],
      ['POST', '/auth/v2/token', 'auth-service', 'j%C3%A4ne'],
      ['GET', '/v2/team/app/manifests/1', 'registry-proxy', 'jane'],
      ['POST', '/v2/team/app/blobs/uploads/', 'registry-proxy', 'jane'],
      ['GET', OF_JANE, 'registry', 'jane'],
      ['GET', OF_NOBODY, 'registry', ''],
      ['GET', REFUSED, 'registry-proxy', 'jane'],
      ['PATCH', UPLOAD, 'registry', 'jane'],
    ]
    for (const [method, path, service] of expected) {
      for (const sendRequest of [send, sendHttp2]) {
        const headers = { ...AUTHORIZATION, 'x-account': 'hostile', 'x-log-account': '0' }
        const response = await sendRequest(ingress, { method, path, headers })
        t.match(response.json, { service }, `${method} ${path}`)
        t.equal(response.headers['x-account'], undefined, `${method} ${path}`)
      }
    }
    t.equal((await send(ingress, { path: '/image-manager' })).status, 502)
    // nginx writes a line after it has sent the response.
    await until(() => ingress.accessLog().some(({ path }) => path === '/image-manager'))
    const logged = ingress.accessLog().map(({ method, path, account }) => [method, path, account])
    for (const [method, path, , account] of expected) {
      const [withoutQuery] = path.split('?')
      const lines = logged.filter(([m, p]) => m === method && p === withoutQuery)
      t.same(
        lines,
        [0, 1].map(() => [method, withoutQuery, account]),
      )
    }
    const unavailable = logged.filter(([, path]) => path === '/image-manager')
    t.same(unavailable, [['GET', '/image-manager', '']])
  },
)
