import { once } from 'node:events'
import type { IncomingMessage, ServerResponse } from 'node:http'
import { Agent, createServer, request } from 'node:http'
import type { AddressInfo } from 'node:net'
import type { Test } from 'tap'
import t from 'tap'
import { drain } from '../src/drain.ts'

/** A server whose `/slow` responds when the test says so, and a client that keeps its connections. */
async function build(t: Test) {
  const waiting: ServerResponse[] = []
  const arrived: (() => void)[] = []
  const server = createServer((request: IncomingMessage, response: ServerResponse) => {
    if (request.url !== '/slow') return response.end('quick')
    waiting.push(response)
    arrived.shift()?.()
  })
  server.listen(0, '127.0.0.1')
  await once(server, 'listening')
  const { port } = server.address() as AddressInfo
  const agent = new Agent({ keepAlive: true, maxSockets: 1 })
  t.teardown(() => {
    agent.destroy()
    server.closeAllConnections()
  })
  const get = async (path: string, agent: Agent | undefined = undefined) => {
    const sent = request({ host: '127.0.0.1', port, path, agent: agent ?? false }).end()
    const [response] = (await once(sent, 'response')) as [IncomingMessage]
    let body = ''
    for await (const chunk of response) body += chunk
    return { body, connection: response.headers.connection }
  }
  const begin = () => {
    const arrival = new Promise<void>((resolve) => arrived.push(resolve))
    const response = get('/slow')
    return { arrival, response }
  }
  return { server, agent, get, begin, waiting }
}

t.test('a draining server finishes open requests and refuses new connections', async (t) => {
  const { server, get, begin, waiting } = await build(t)
  const { arrival, response } = begin()
  await arrival
  let isDrained = false
  const drained = drain(server, 60_000).then(() => (isDrained = true))
  await t.rejects(
    async () => {
      for (const deadline = Date.now() + 60_000; Date.now() < deadline;) await get('/quick')
    },
    // The kernel resets connections that it had accepted in the same moment.
    { code: /^ECONN(REFUSED|RESET)$/ },
  )
  t.equal(isDrained, false, 'drain() waits for the open request')
  waiting[0]?.end('done')
  t.equal((await response).body, 'done')
  await drained
})

t.test('a draining server closes a kept connection after one more request', async (t) => {
  const { server, agent, get } = await build(t)
  t.match(await get('/quick', agent), { body: 'quick', connection: 'keep-alive' })
  const drained = drain(server, 60_000)
  await new Promise((resolve) => setTimeout(resolve, 50))
  t.match(await get('/quick', agent), { body: 'quick', connection: 'close' })
  await drained
})

t.test('an idle connection does not delay draining beyond its idle time', async (t) => {
  const { server, agent, get } = await build(t)
  await get('/quick', agent)
  await drain(server, 60_000)
  t.equal(server.listening, false)
})

t.test('a request that takes longer than the grace time is cut off', async (t) => {
  const { server, begin } = await build(t)
  const { arrival, response } = begin()
  await arrival
  const broken = t.rejects(response, { code: 'ECONNRESET' })
  await drain(server, 200)
  await broken
})

t.test('draining a server that does not listen ends at once', async () => {
  await drain(createServer(), 60_000)
})
