import { once } from 'node:events'
import type { IncomingMessage, Server, ServerResponse } from 'node:http'
import { Agent, createServer, request as sendRequest } from 'node:http'
import { pipeline } from 'node:stream'
import type { Test } from 'tap'
import type { RoutedService } from '../../deploy/local/embedded-router.ts'

/** Listens on loopback until the test ends. */
export async function listen(t: Test, server: Server, port: number): Promise<void> {
  server.listen(port, '127.0.0.1')
  await once(server, 'listening')
  t.teardown(() => {
    server.close()
    server.closeAllConnections()
  })
}

/** Starts a listener that distributes its requests to some ports in turn, like a Kubernetes service. */
export async function startBalancer(t: Test, ports: readonly number[], port: number): Promise<string> {
  const { routing } = deal(t, ports)
  await listen(t, createServer(routing), port)
  return `http://127.0.0.1:${port}`
}

/** Forwards requests to loopback ports in turn, and the responses back. It does not retry and changes nothing. */
export function deal(t: Test, ports: readonly number[]): RoutedService {
  const agent = new Agent({ keepAlive: true })
  t.teardown(() => agent.destroy())
  let turn = 0
  const routing = (request: IncomingMessage, response: ServerResponse) => {
    const { method, url: path, headers } = request
    const port = ports[turn++ % ports.length]
    const upstream = sendRequest({ host: '127.0.0.1', port, method, path, headers, agent })
    upstream.on('continue', () => response.writeContinue())
    upstream.on('response', (upstreamResponse) => {
      response.writeHead(upstreamResponse.statusCode ?? 502, upstreamResponse.headers)
      pipeline(upstreamResponse, response, () => {})
    })
    // A broken connection of the service breaks the client's connection too.
    upstream.on('error', () => response.destroy())
    pipeline(request, upstream, (error) => {
      if (error) response.destroy()
    })
    response.on('close', () => {
      // A client with a complete response may reuse the connection.
      if (!response.writableFinished) upstream.destroy()
    })
  }
  return { routing }
}
