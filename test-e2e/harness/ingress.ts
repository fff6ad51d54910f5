import { once } from 'node:events'
import type { IncomingMessage, Server, ServerResponse } from 'node:http'
import { Agent, createServer, request as sendRequest } from 'node:http'
import { pipeline } from 'node:stream'
import type { Test } from 'tap'
import type { FrontService } from '../../deploy/local/front.ts'

/** Listens on loopback for as long as the test runs. */
export async function listen(t: Test, server: Server, port: number): Promise<void> {
  server.listen(port, '127.0.0.1')
  await once(server, 'listening')
  t.teardown(() => {
    server.close()
    server.closeAllConnections()
  })
}

/** A listener that deals its requests to some ports in turn, as a Kubernetes service does. */
export async function startBalancer(t: Test, ports: readonly number[], port: number): Promise<string> {
  const { routing } = deal(t, ports)
  await listen(t, createServer(routing), port)
  return `http://127.0.0.1:${port}`
}

/** Hands requests on to loopback ports in turn, and the answers back. Nothing is retried or changed. */
export function deal(t: Test, ports: readonly number[]): FrontService {
  const agent = new Agent({ keepAlive: true })
  t.teardown(() => agent.destroy())
  let turn = 0
  const routing = (request: IncomingMessage, response: ServerResponse) => {
    const { method, url: path, headers } = request
    const port = ports[turn++ % ports.length]
    const upstream = sendRequest({ host: '127.0.0.1', port, method, path, headers, agent })
    upstream.on('continue', () => response.writeContinue())
    upstream.on('response', (answer) => {
      response.writeHead(answer.statusCode ?? 502, answer.headers)
      pipeline(answer, response, () => {})
    })
    // A client sees what it would see of the service itself: a connection that breaks.
    upstream.on('error', () => response.destroy())
    pipeline(request, upstream, (error) => {
      if (error) response.destroy()
    })
    response.on('close', () => {
      // A client that has its answer leaves the connection to the next one.
      if (!response.writableFinished) upstream.destroy()
    })
  }
  return { routing }
}
