import { once } from 'node:events'
import { createServer } from 'node:net'
import type { AddressInfo, Socket } from 'node:net'
import t from 'tap'
import { Agent, request } from 'undici'
import { keepAfterHead } from '../src/keep-after-head.ts'

/** Starts a server that answers each request with the returned text. Counts its connections. */
async function startServer(answer: (request: string, connection: number) => string) {
  const sockets = new Set<Socket>()
  let connections = 0
  const server = createServer((socket) => {
    sockets.add(socket)
    connections += 1
    const number = connections
    socket.on('data', (data) => socket.write(answer(data.toString(), number)))
    socket.on('error', () => undefined)
  })
  server.listen(0, '127.0.0.1')
  await once(server, 'listening')
  const dispatcher = new Agent({ connections: 1 }).compose(keepAfterHead)
  t.teardown(async () => {
    await dispatcher.destroy()
    for (const socket of sockets) socket.destroy()
    server.close()
  })
  const url = `http://127.0.0.1:${(server.address() as AddressInfo).port}`
  const send = async (method: 'GET' | 'HEAD') => {
    const { statusCode, body } = await request(url, { dispatcher, method })
    return `${statusCode} ${await body.text()}`
  }
  return { send, connections: () => connections }
}

t.test('requests after HEAD use the same connection', async (t) => {
  const { send, connections } = await startServer((request) =>
    request.startsWith('HEAD')
      ? 'HTTP/1.1 404 Not Found\r\nContent-Length: 5\r\n\r\n'
      : 'HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\nright',
  )
  for (let times = 0; times < 5; times += 1) {
    t.equal(await send('HEAD'), '404 ')
    t.equal(await send('GET'), '200 right')
  }
  t.equal(connections(), 1)
})

t.test('a body after HEAD is not taken for the response to the next request', async (t) => {
  const { send } = await startServer((request) =>
    request.startsWith('HEAD')
      ? 'HTTP/1.1 404 Not Found\r\nContent-Length: 44\r\n\r\nHTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\nwrong'
      : 'HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\nright',
  )
  const seen: string[] = []
  for (let times = 0; times < 5; times += 1) {
    await send('HEAD').catch(() => undefined)
    seen.push(await send('GET').catch(() => 'no response'))
  }
  t.notOk(
    seen.some((text) => text.includes('wrong')),
    seen.join(),
  )
})
