import { once } from 'node:events'
import type { IncomingMessage, ServerResponse } from 'node:http'
import { Agent, createServer, request } from 'node:http'
import type { AddressInfo } from 'node:net'
import type { Test } from 'tap'
import t from 'tap'
import { drain } from '../src/drain.ts'

/** A server whose `/slow` answers when it is told to; and a client that keeps its connections. */
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
  const get = async (path: string, by: Agent | undefined = undefined) => {
    const asking = request({ host: '127.0.0.1', port, path, agent: by ?? false }).end()
    const [response] = (await once(asking, 'response')) as [IncomingMessage]
    let body = ''
    for await (const chunk of response) body += chunk
    return { body, connection: response.headers.connection }
  }
  const begin = () => {
    const there = new Promise<void>((resolve) => arrived.push(resolve))
    const answer = get('/slow')
    return { there, answer }
  }
  return { server, agent, get, begin, waiting }
}

t.test('what is under way ends, what comes anew is refused', async (t) => {
  const { server, get, begin, waiting } = await build(t)
  const { there, answer } = begin()
  await there
  let over = false
  const drained = drain(server, 60_000).then(() => (over = true))
  await t.rejects(
    async () => {
      for (;;) await get('/quick')
    },
    // Reset is what the system had accepted in the very moment.
    { code: /^ECONN(REFUSED|RESET)$/ },
  )
  t.equal(over, false, 'it waits')
  waiting[0]?.end('done')
  t.equal((await answer).body, 'done')
  await drained
})

t.test('a kept connection takes one more request, and is told that it was the last', async (t) => {
  const { server, agent, get } = await build(t)
  t.match(await get('/quick', agent), { body: 'quick', connection: 'keep-alive' })
  const drained = drain(server, 60_000)
  await new Promise((resolve) => setTimeout(resolve, 50))
  t.match(await get('/quick', agent), { body: 'quick', connection: 'close' })
  await drained
})

t.test('a connection that nobody uses any more does not hold it up', async (t) => {
  const { server, agent, get } = await build(t)
  await get('/quick', agent)
  await drain(server, 60_000)
  t.equal(server.listening, false)
})

t.test('what takes longer than the grace time is broken off', async (t) => {
  const { server, begin } = await build(t)
  const { there, answer } = begin()
  await there
  const broken = t.rejects(answer, { code: 'ECONNRESET' })
  await drain(server, 200)
  await broken
})

t.test('a server that does not listen has nothing to end', async () => {
  await drain(createServer(), 60_000)
})
