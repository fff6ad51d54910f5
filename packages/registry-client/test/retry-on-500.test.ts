import { once } from 'node:events'
import { createServer } from 'node:http'
import type { AddressInfo } from 'node:net'
import { text } from 'node:stream/consumers'
import t from 'tap'
import { retryOn500 } from '../src/retry-on-500.ts'

/** Answers in turn; notes what came. */
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

t.test('what fails for a moment is asked again, with its body', async (t) => {
  statuses.push(500, 500, 201)
  t.equal((await retryOn500(url, { method: 'PUT', body: 'manifest' })).status, 201)
  t.same(seen, ['PUT manifest', 'PUT manifest', 'PUT manifest'])
})

t.test('not for ever', async (t) => {
  statuses.push(500, 500, 500, 500, 500)
  const response = await retryOn500(url, {})
  t.equal(response.status, 500)
  t.equal(await response.text(), 'body', 'the last answer can be read')
  t.equal(seen.length, 5)
})

for (const status of [200, 404, 401, 502, 503]) {
  t.test(`${status} is an answer`, async (t) => {
    statuses.push(status)
    t.equal((await retryOn500(url, {})).status, status)
    t.equal(seen.length, 1)
  })
}

t.test('no answer is left to the principal', async (t) => {
  await t.rejects(retryOn500(new URL('http://127.0.0.1:1'), {}), TypeError)
})
