import { once } from 'node:events'
import { createServer } from 'node:http'
import type { AddressInfo } from 'node:net'
import t from 'tap'
import { runLoad } from '../client/load.ts'

t.test('the bytes of all lanes are counted, although their responses overlap', async (t) => {
  const body = Buffer.alloc(300_000)
  const server = createServer((_request, response) => {
    response.writeHead(200, { 'content-length': body.length })
    response.write(body.subarray(0, 1000))
    setTimeout(() => response.end(body.subarray(1000)), 10)
  })
  server.listen(0, '127.0.0.1')
  await once(server, 'listening')
  t.teardown(() => server.close())
  const origin = `http://127.0.0.1:${(server.address() as AddressInfo).port}`
  const lanes = Array.from({ length: 8 }, () => Array.from({ length: 5 }, () => ({ path: '/', headers: {} })))
  const { requests, bytes, errors, milliseconds } = await runLoad({ origin, lanes })
  t.strictSame({ requests, errors, bytes }, { requests: 40, errors: 0, bytes: 40 * body.length })
  t.equal(milliseconds.length, 40)
})
