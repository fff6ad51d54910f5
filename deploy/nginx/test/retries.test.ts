import type { RequestListener } from 'node:http'
import t from 'tap'
import { ask, askHttp2 } from './fixtures/ask.ts'
import { startIngress, tell } from './fixtures/ingress.ts'

const METHODS = ['GET', 'HEAD', 'POST', 'PUT', 'PATCH', 'DELETE']

t.test('a request that never reached a service goes to another one, whatever it is', async (t) => {
  const replicas = [undefined, tell('registry-proxy')]
  const ingress = await startIngress(t, {
    services: { 'registry-proxy': replicas, 'auth-service': replicas },
  })
  for (const path of ['/v2/a/blobs/uploads/1', '/user']) {
    for (const method of METHODS) {
      for (let number = 0; number < 4; number += 1) {
        for (const way of [ask, askHttp2]) {
          const body = method === 'GET' || method === 'HEAD' ? undefined : Buffer.alloc(300_000)
          const answer = await way(ingress, { method, path, body })
          t.equal(answer.status, 200, `${method} ${path}`)
          if (method !== 'HEAD') t.match(answer.json, { received: body?.length ?? 0 })
        }
      }
    }
  }
})

t.test('one that reached a service is repeated only where that changes nothing', async (t) => {
  const reached: (string | undefined)[] = []
  const breakOff: RequestListener = (request) => {
    reached.push(request.method)
    request.resume()
    request.on('end', () => request.socket.destroy())
  }
  const ingress = await startIngress(t, { services: { 'registry-proxy': [breakOff, breakOff] } })
  for (const method of METHODS) {
    for (const length of [0, 1, 1 << 20]) {
      const isIdempotent = !['POST', 'PATCH'].includes(method)
      // One whose body was still coming cannot be sent again: nobody has kept it.
      const times = isIdempotent && length < 2 ? 2 : 1
      if (length > 0 && ['GET', 'HEAD', 'DELETE'].includes(method)) continue
      reached.length = 0
      const answer = await ask(ingress, { method, path: '/v2/a/manifests/x', body: Buffer.alloc(length) })
      t.equal(answer.status, 502, `${method} with ${length} bytes`)
      t.equal(
        reached.length,
        times,
        `${method} with ${length} bytes is sent ${times === 1 ? 'once' : 'twice'}`,
      )
    }
  }
})

t.test('an auth-service that cannot tell who somebody is does not have the last word', async (t) => {
  let [told, waitMs] = [0, 0]
  const cannotTell: RequestListener = (request, response) => {
    request.resume()
    told += 1
    const answer = () => response.writeHead(503, { 'retry-after': '5' }).end('{"errors":[]}')
    setTimeout(answer, waitMs)
  }
  const [both, one] = await Promise.all(
    [
      [cannotTell, cannotTell],
      [cannotTell, tell('auth-service')],
    ].map((replicas) => startIngress(t, { services: { 'auth-service': replicas } })),
  )
  const body = Buffer.from('grant_type=password&username=jane')
  for (const path of ['/auth/v2/token', '/auth/v2/token/?service=x', '/image-manager/api/v1/auth/token']) {
    for (const request of [{ path }, { path, method: 'POST', body }]) {
      for (let number = 0; number < 4; number += 1) t.match(await ask(one!, request), { status: 200 }, path)
      told = 0
      const answer = await ask(both!, request)
      t.match(answer, { status: 503, headers: { 'retry-after': '5' }, text: '{"errors":[]}' })
      t.equal(told, 2, 'all are asked, once')
    }
  }
  told = 0
  t.equal((await ask(both!, { path: '/user' })).status, 503)
  t.equal(told, 1, 'elsewhere a service says for itself when to come again')
  ;[told, waitMs] = [0, 1500]
  t.equal((await ask(both!, { path: '/auth/v2/token' })).status, 503)
  t.equal(told, 1, 'who takes long to say so is not followed by another')
})

t.test('connections to the services are kept', async (t) => {
  const ports = new Set<number | undefined>()
  const note: RequestListener = (request, response) => {
    ports.add(request.socket.remotePort)
    tell('registry-proxy')(request, response)
  }
  // Each worker keeps its own.
  const edit = (config: string) => config.replace('worker_processes auto;', 'worker_processes 1;')
  const ingress = await startIngress(t, { services: { 'registry-proxy': [note] }, edit })
  for (let number = 0; number < 20; number += 1) await ask(ingress, { path: '/v2/' })
  t.equal(ports.size, 1)
})
