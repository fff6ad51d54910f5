import type { RequestListener } from 'node:http'
import t from 'tap'
import { send } from './fixtures/client.ts'
import { echo, startIngress } from './fixtures/ingress.ts'

const UPLOADS = Array.from({ length: 20 }, (_, number) => `/v2/team/app/blobs/uploads/u${number}`)
/** All requests of an upload after the first, as clients send them: by chunks, as a stream, and its status. */
const REQUESTS = [
  { method: 'PATCH', body: 'x', headers: { authorization: 'Bearer x', 'content-range': '0-0' } },
  { method: 'PATCH', body: 'x', headers: { authorization: 'Bearer x' } },
  { method: 'PUT', headers: { authorization: 'Bearer x' } },
  { method: 'GET', headers: { authorization: 'Basic x' } },
  { method: 'HEAD' },
  { method: 'DELETE' },
] as const

t.test('all requests of an upload reach the same replica of registry-proxy', async (t) => {
  const reached = new Map<string, Set<number>>()
  const replicas = [0, 1, 2].map((number): RequestListener => {
    return (request, response) => {
      const [path = ''] = request.url?.split('?', 1) ?? []
      reached.set(path, (reached.get(path) ?? new Set()).add(number))
      if (request.headers['x-decide-only'] === '1') return response.writeHead(204).end()
      return echo('registry-proxy')(request, response)
    }
  })
  const ingress = await startIngress(t, { authorizes: true, services: { 'registry-proxy': replicas } })
  for (const path of UPLOADS) {
    for (const [index, request] of REQUESTS.entries()) {
      const { status } = await send(ingress, { ...request, path: `${path}?_state=state-${index}` })
      t.equal(status, 200, `${request.method} ${path}`)
    }
    t.equal(reached.get(path)?.size, 1, `replicas that got requests of ${path}`)
  }
  const used = new Set(UPLOADS.flatMap((path) => [...(reached.get(path) ?? [])]))
  t.equal(used.size, replicas.length, 'replicas that got requests of any upload')
})
