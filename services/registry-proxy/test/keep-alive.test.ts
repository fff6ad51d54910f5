import { once } from 'node:events'
import { createServer } from 'node:http'
import type { IncomingMessage } from 'node:http'
import type { AddressInfo } from 'node:net'
import { Agent, request } from 'node:http'
import { setTimeout as sleep } from 'node:timers/promises'
import { repositoryAccess } from '@registry-manager/oci'
import t from 'tap'
import { startProxy } from './fixtures/proxy.ts'

/** A registry that opens uploads as distribution does: 202 and an empty body. */
async function startRegistry() {
  const headers = { 'content-length': '0', location: '/v2/team/app/blobs/uploads/u1?_state=s' }
  const server = createServer((incoming, response) => {
    incoming.resume()
    response.writeHead(202, headers).end()
  })
  server.listen(0, '127.0.0.1')
  await once(server, 'listening')
  t.teardown(() => {
    server.closeAllConnections()
    server.close()
  })
  return `http://127.0.0.1:${(server.address() as AddressInfo).port}`
}

t.test(
  'a connection that the response to the start of an upload leaves open serves the next request',
  async (t) => {
    const proxy = await startProxy(t, { registryUrl: await startRegistry() })
    const authorization = proxy.bearer([repositoryAccess('team/app', 'pull', 'push')])
    const agent = new Agent({ keepAlive: true, maxSockets: 1 })
    t.teardown(() => agent.destroy())
    const send = async (method: string, path: string, body: string) => {
      const headers = { authorization, 'content-length': Buffer.byteLength(body) }
      const sent = request({ port: proxy.port, host: '127.0.0.1', method, path, headers, agent })
      sent.end(body)
      const [response] = (await once(sent, 'response')) as [IncomingMessage]
      response.resume()
      await once(response, 'end')
      return { status: response.statusCode, closes: response.headers.connection === 'close' }
    }
    for (const body of ['', 'unwanted']) {
      for (let turn = 0; turn < 20; turn += 1) {
        const { status, closes } = await send('POST', '/v2/team/app/blobs/uploads/', body)
        t.equal(status, 202)
        // A server that closes without a word resets the client's next request.
        const isOpen = Object.values(agent.freeSockets).flat().length === 1
        await sleep(5)
        const isStillOpen = Object.values(agent.freeSockets).flat().length === 1
        t.equal(isStillOpen, isOpen && !closes, `after a body of ${body.length} bytes`)
      }
    }
  },
)
