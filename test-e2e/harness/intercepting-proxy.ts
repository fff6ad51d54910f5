import { once } from 'node:events'
import type { IncomingMessage, RequestOptions } from 'node:http'
import { createServer, request as forward } from 'node:http'
import type { AddressInfo } from 'node:net'
import type { Test } from 'tap'

/** Starts a proxy in front of a registry. Hooks run before each request and before its response is forwarded. */
export async function startInterceptingProxy(t: Test, registryUrl: string) {
  const hooks = {
    before: async (_method: string, _path: string): Promise<void> => {},
    after: async (_method: string, _path: string): Promise<void> => {},
  }
  const server = createServer(async (request, response) => {
    const [method, path] = [request.method ?? '', request.url ?? '']
    try {
      await hooks.before(method, path)
      const options: RequestOptions = {
        method,
        headers: { ...request.headers, host: new URL(registryUrl).host },
      }
      const upstream = forward(new URL(path, registryUrl), options)
      request.pipe(upstream)
      const [upstreamResponse] = (await once(upstream, 'response')) as [IncomingMessage]
      await hooks.after(method, path)
      response.writeHead(upstreamResponse.statusCode ?? 500, upstreamResponse.headers)
      upstreamResponse.pipe(response)
    } catch {
      request.socket.destroy()
    }
  })
  await once(server.listen(0, '127.0.0.1'), 'listening')
  t.teardown(() => {
    server.closeAllConnections()
    server.close()
  })
  return { hooks, url: `http://127.0.0.1:${(server.address() as AddressInfo).port}` }
}
