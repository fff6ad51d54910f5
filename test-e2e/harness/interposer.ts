import { once } from 'node:events'
import type { IncomingMessage, RequestOptions } from 'node:http'
import { createServer, request } from 'node:http'
import type { AddressInfo } from 'node:net'
import type { Test } from 'tap'

/** Starts a proxy in front of a registry. Hooks run before each request and before its response is forwarded. */
export async function startInterposer(t: Test, registryUrl: string) {
  const hooks = {
    before: async (_method: string, _path: string): Promise<void> => {},
    after: async (_method: string, _path: string): Promise<void> => {},
  }
  const server = createServer(async (asked, answer) => {
    const [method, path] = [asked.method ?? '', asked.url ?? '']
    try {
      await hooks.before(method, path)
      const options: RequestOptions = {
        method,
        headers: { ...asked.headers, host: new URL(registryUrl).host },
      }
      const upstream = request(new URL(path, registryUrl), options)
      asked.pipe(upstream)
      const [response] = (await once(upstream, 'response')) as [IncomingMessage]
      await hooks.after(method, path)
      answer.writeHead(response.statusCode ?? 500, response.headers)
      response.pipe(answer)
    } catch {
      asked.socket.destroy()
    }
  })
  await once(server.listen(0, '127.0.0.1'), 'listening')
  t.teardown(() => {
    server.closeAllConnections()
    server.close()
  })
  return { hooks, url: `http://127.0.0.1:${(server.address() as AddressInfo).port}` }
}
