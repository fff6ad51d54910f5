import { once } from 'node:events'
import { createServer } from 'node:http'
import type { AddressInfo } from 'node:net'
import { text } from 'node:stream/consumers'
import t from 'tap'
import { retryOn500 } from '../src/registry-request.ts'

/** Statuses of the next responses, and the requests that arrived. */
const statuses: number[] = []
const seen: string[] = []
const server = createServer(async (request, response) => {
  seen.push(`${request.method} ${await text(request)}`)
  response.writeHead(statuses.shift() ?? 200).end('body')
})
await once(server.listen(0, '127.0.0.1'), 'listening')
t.teardown(() => {
  server.closeAllConnections()
  server.close()
})
const url = new URL(`http://127.0.0.1:${(server.address() as AddressInfo).port}`)
t.beforeEach(() => {
  statuses.splice(0)
  seen.splice(0)
})

t.test('a request that gets 500 is retried with its body', async (t) => {
  statuses.push(500, 500, 201)
  t.equal((await retryOn500(url, { method: 'PUT', body: 'manifest' })).status, 201)
  t.same(seen, ['PUT manifest', 'PUT manifest', 'PUT manifest'])
})

t.test('a request that gets 500 is sent five times at most', async (t) => {
  statuses.push(500, 500, 500, 500, 500)
  const response = await retryOn500(url, {})
  t.equal(response.status, 500)
  t.equal(await response.text(), 'body', 'the body of the last response is readable')
  t.equal(seen.length, 5)
})

for (const status of [200, 404, 401, 502, 503]) {
  t.test(`a response with status ${status} is not retried`, async (t) => {
    statuses.push(status)
    t.equal((await retryOn500(url, {})).status, status)
    t.equal(seen.length, 1)
  })
}

t.test('a refused connection is not retried', async (t) => {
  await t.rejects(retryOn500(new URL('http://127.0.0.1:1'), {}), TypeError)
})
