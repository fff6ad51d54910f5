import { once } from 'node:events'
import type { IncomingMessage, RequestListener } from 'node:http'
import { request as requestTls } from 'node:https'
import t from 'tap'
import { send, sendHttp2, sendRaw } from './fixtures/client.ts'
import { startIngress, echo } from './fixtures/ingress.ts'

const DIGEST = `sha256:${'a'.repeat(64)}`
const BLOB = `/v2/team/app/blobs/${DIGEST}`
const UPLOAD = '/v2/team/app/blobs/uploads/u1?_state=s&_binding=b'
const TOKEN = { authorization: 'Bearer x' }

const UPLOAD_AUTHORIZED = {
  'x-decided-uri': '/v2/decided/blobs/uploads/u1?_state=decided%3D%3D',
  'x-decided-authorization': 'Bearer decided',
  'x-decided-binding': 'decided-binding',
}

/** A registry-proxy that authorizes every request and records each request that it receives. */
function authorizing(received: (string | undefined)[] = []): RequestListener {
  return (request, response) => {
    const { method, url, headers } = request
    if (headers['x-decide-only'] !== '1') {
      received.push(`forward ${method} ${url}`)
      return echo('registry-proxy')(request, response)
    }
    received.push(`authorize ${method} ${url}`)
    response.writeHead(200, UPLOAD_AUTHORIZED).end()
  }
}

const started = (proxy: RequestListener | undefined, registry: RequestListener = echo('registry')) =>
  startIngress(t, { authorizes: true, services: { 'registry-proxy': [proxy], registry: [registry] } })

t.test(
  'nginx forwards the content of an upload to the registry, and adds the binding to its Location',
  async (t) => {
    const received: string[] = []
    const registry: RequestListener = (request, response) => {
      response.setHeader('location', '/v2/team/app/blobs/uploads/u1?_state=next%3D%3D')
      response.setHeader('range', '0-9')
      response.statusCode = 202
      echo('registry')(request, response)
    }
    const ingress = await started(authorizing(received), registry)
    const headers = { authorization: 'Bearer c2VjcmV0', 'content-type': 'application/x-www-form-urlencoded' }
    for (const sendRequest of [send, sendHttp2]) {
      for (const length of [0, 10, 5 << 20]) {
        const response = await sendRequest(ingress, {
          method: 'PATCH',
          path: UPLOAD,
          headers,
          body: Buffer.alloc(length),
        })
        t.equal(response.status, 202)
        const { location, range } = response.headers
        t.equal(location, '/v2/team/app/blobs/uploads/u1?_state=next%3D%3D&_binding=decided-binding')
        t.equal(range, '0-9')
        t.match(response.json, {
          service: 'registry',
          method: 'PATCH',
          url: UPLOAD_AUTHORIZED['x-decided-uri'],
          received: length,
          headers: { authorization: 'Bearer decided', 'content-type': 'application/octet-stream' },
        })
      }
    }
    t.same(new Set(received), new Set([`authorize PATCH ${UPLOAD}`]))
  },
)

t.test(
  'nginx reads no body before registry-proxy has authorized the request, and then streams it',
  async (t) => {
    const decided = Promise.withResolvers<void>()
    const arrived = Promise.withResolvers<number>()
    const proxy: RequestListener = (_request, response) =>
      void decided.promise.then(() => response.writeHead(200, UPLOAD_AUTHORIZED).end())
    const registry: RequestListener = (request, response) => {
      request.once('data', (chunk: Buffer) => arrived.resolve(chunk.length))
      request.on('end', () => response.end())
    }
    const { httpsPort, ca } = await started(proxy, registry)
    const options = { host: '127.0.0.1', port: httpsPort, ca, servername: 'localhost', agent: false as const }
    const headers = { authorization: 'Bearer x', expect: '100-continue', 'content-length': 2000 }
    const upload = requestTls({ ...options, method: 'PATCH', path: UPLOAD, headers })
    upload.flushHeaders()
    let mayContinue = false
    upload.on('continue', () => {
      mayContinue = true
      upload.write(Buffer.alloc(1000))
    })
    setTimeout(() => {
      t.notOk(mayContinue, 'no 100 Continue before the authorization')
      decided.resolve()
    }, 300)
    t.ok((await arrived.promise) > 0, 'the registry receives the first bytes while the client still sends')
    upload.end(Buffer.alloc(1000))
    const [response] = (await once(upload, 'response')) as [IncomingMessage]
    t.equal(response.statusCode, 200)
    response.resume()
  },
)

t.test(
  'the client receives the response of registry-proxy to a request that it does not authorize',
  async (t) => {
    for (const status of [204, 400, 401, 403, 404, 416, 429, 500, 503]) {
      let refusals = 0
      const refuse: RequestListener = (request, response) => {
        refusals += 1
        request.resume()
        // Without the X-Decided-* headers.
        response.writeHead(status, { 'www-authenticate': 'Bearer realm="x"' })
        response.end(status === 204 ? undefined : 'refused')
      }
      const ingress = await started(refuse)
      const body = Buffer.alloc(2 << 20)
      const upload = {
        method: 'PATCH',
        path: UPLOAD,
        body,
        headers: { ...TOKEN, 'content-length': body.length },
      }
      for (const request of [upload]) {
        for (const sendRequest of [send, sendHttp2]) {
          refusals = 0
          const response = await sendRequest(ingress, request)
          t.match(response, { status, headers: { 'www-authenticate': 'Bearer realm="x"' } }, `${status}`)
          if (status !== 204) t.equal(response.text, 'refused')
          t.equal(refusals, 2, 'one request to authorize, one to forward')
        }
      }
    }
    const unavailable = await started(undefined)
    t.match(await send(unavailable, { method: 'PATCH', path: UPLOAD, headers: TOKEN }), {
      status: 502,
      json: { errors: [{ code: 'UNAVAILABLE' }] },
    })
  },
)

t.test(
  'registry-proxy forwards every request that is not a simple transfer, without an authorize-only request',
  async (t) => {
    const received: string[] = []
    const ingress = await started(authorizing(received))
    for (const [method, path, headers] of [
      ['GET', BLOB.replace('blobs', '%62lobs'), {}],
      ['GET', '/v2/team/app/blobs/uploads/u1', {}],
      ['PATCH', UPLOAD, { 'content-range': '0-9' }],
      ['PUT', `${UPLOAD}&digest=${DIGEST}`, { 'content-range': '0-9' }],
      ['PATCH', UPLOAD, { authorization: 'Basic eA==' }],
      ['POST', '/v2/team/app/blobs/uploads/', { 'content-type': 'text/plain' }],
      ['DELETE', BLOB, {}],
    ] as const) {
      received.length = 0
      const response = await send(ingress, {
        method,
        path,
        headers: { authorization: 'Bearer eA==', ...headers },
      })
      t.same(received, [`forward ${method} ${path}`])
      const expected = { authorization: 'Bearer eA==', ...headers }
      t.match(response.json, { service: 'registry-proxy', method, url: path, headers: expected })
    }
    received.length = 0
    await sendRaw(ingress, `GET /v2/ HTTP/1.1\r\nHost: x\r\nX-Decide-Only: 1\r\nConnection: close\r\n\r\n`)
    t.same(received, ['forward GET /v2/'], 'a client cannot ask for an authorization')
    received.length = 0
    for (const path of ['/.authorize', '/.not-authorized']) await send(ingress, { path, headers: TOKEN })
    t.same(received, [], 'a client cannot request the internal locations')
  },
)

t.test('nginx repeats the start of an upload if a process dies, but never its content', async (t) => {
  const reached: (string | undefined)[] = []
  const die: RequestListener = (request) => {
    reached.push(request.method)
    request.on('end', () => request.socket.destroy()).resume()
  }
  for (const authorizes of [true, false]) {
    const ingress = await startIngress(t, {
      authorizes,
      services: { 'registry-proxy': authorizes ? [authorizing()] : [die, die], registry: [die, die] },
    })
    for (const length of [0, 1, 1 << 20]) {
      for (const sendRequest of [send, sendHttp2]) {
        reached.length = 0
        const body = Buffer.alloc(length)
        t.equal(
          (await sendRequest(ingress, { method: 'PATCH', path: UPLOAD, headers: TOKEN, body })).status,
          502,
        )
        t.same(reached, ['PATCH'], `PATCH with ${length} bytes`)
      }
    }
  }
  const services = { 'registry-proxy': [die, echo('registry-proxy')] }
  const ingress = await startIngress(t, { services })
  for (let number = 0; number < 4; number += 1) {
    const response = await send(ingress, { method: 'POST', path: '/v2/team/app/blobs/uploads/' })
    t.match(response, { status: 200, json: { method: 'POST' } })
  }
})
