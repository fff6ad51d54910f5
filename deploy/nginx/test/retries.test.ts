import type { RequestListener } from 'node:http'
import t from 'tap'
import { send, sendHttp2 } from './fixtures/client.ts'
import { startIngress, echo } from './fixtures/ingress.ts'

const METHODS = ['GET', 'HEAD', 'POST', 'PUT', 'PATCH', 'DELETE']

t.test('nginx retries a request on another replica if its connection failed, with any method', async (t) => {
  const replicas = [undefined, echo('registry-proxy')]
  const ingress = await startIngress(t, {
    services: { 'registry-proxy': replicas, 'auth-service': replicas },
  })
  for (const path of ['/v2/a/blobs/uploads/1', '/user']) {
    for (const method of METHODS) {
      for (let number = 0; number < 4; number += 1) {
        for (const sendRequest of [send, sendHttp2]) {
          const body = method === 'GET' || method === 'HEAD' ? undefined : Buffer.alloc(300_000)
          const answer = await sendRequest(ingress, { method, path, body })
          t.equal(answer.status, 200, `${method} ${path}`)
          if (method !== 'HEAD') t.match(answer.json, { received: body?.length ?? 0 })
        }
      }
    }
  }
})

t.test(
  'nginx repeats a request that reached a replica only if it is idempotent and its body complete',
  async (t) => {
    const reached: (string | undefined)[] = []
    const closeConnection: RequestListener = (request) => {
      reached.push(request.method)
      request.resume()
      request.on('end', () => request.socket.destroy())
    }
    const ingress = await startIngress(t, {
      services: { 'registry-proxy': [closeConnection, closeConnection] },
    })
    for (const method of METHODS) {
      for (const length of [0, 1, 1 << 20]) {
        const isIdempotent = !['POST', 'PATCH'].includes(method)
        // nginx cannot repeat a body that it has not buffered whole.
        const times = isIdempotent && length < 2 ? 2 : 1
        if (length > 0 && ['GET', 'HEAD', 'DELETE'].includes(method)) continue
        reached.length = 0
        const answer = await send(ingress, { method, path: '/v2/a/manifests/x', body: Buffer.alloc(length) })
        t.equal(answer.status, 502, `${method} with ${length} bytes`)
        t.equal(
          reached.length,
          times,
          `${method} with ${length} bytes is sent ${times === 1 ? 'once' : 'twice'}`,
        )
      }
    }
  },
)

t.test(
  'nginx retries a token request once on another replica if the first responds 503 within a second',
  async (t) => {
    let [requests, waitMs] = [0, 0]
    const unavailable: RequestListener = (request, response) => {
      request.resume()
      requests += 1
      const answer = () => response.writeHead(503, { 'retry-after': '5' }).end('{"errors":[]}')
      setTimeout(answer, waitMs)
    }
    const [both, one] = await Promise.all(
      [
        [unavailable, unavailable],
        [unavailable, echo('auth-service')],
      ].map((replicas) => startIngress(t, { services: { 'auth-service': replicas } })),
    )
    const body = Buffer.from('grant_type=password&username=jane')
    for (const path of ['/auth/v2/token', '/auth/v2/token/?service=x', '/image-manager/api/v1/auth/token']) {
      for (const request of [{ path }, { path, method: 'POST', body }]) {
        for (let number = 0; number < 4; number += 1)
          t.match(await send(one!, request), { status: 200 }, path)
        requests = 0
        const answer = await send(both!, request)
        t.match(answer, { status: 503, headers: { 'retry-after': '5' }, text: '{"errors":[]}' })
        t.equal(requests, 2, 'every replica is tried once')
      }
    }
    requests = 0
    t.equal((await send(both!, { path: '/user' })).status, 503)
    t.equal(requests, 1, 'other requests are not retried after a 503')
    ;[requests, waitMs] = [0, 1500]
    t.equal((await send(both!, { path: '/auth/v2/token' })).status, 503)
    t.equal(requests, 1, 'a slow 503 is not retried')
  },
)

t.test('nginx reuses its connections to the services', async (t) => {
  const ports = new Set<number | undefined>()
  const recordPort: RequestListener = (request, response) => {
    ports.add(request.socket.remotePort)
    echo('registry-proxy')(request, response)
  }
  // Each worker has its own connections.
  const edit = (config: string) => config.replace('worker_processes auto;', 'worker_processes 1;')
  const ingress = await startIngress(t, { services: { 'registry-proxy': [recordPort] }, edit })
  for (let number = 0; number < 20; number += 1) await send(ingress, { path: '/v2/' })
  t.equal(ports.size, 1)
})
