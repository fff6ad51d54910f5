import { repositoryAccess } from '@registry-manager/oci'
import t from 'tap'
import { GRANTED, REBUILT_TARGETS, REFUSED_TARGETS } from './fixtures/hostile-targets.ts'
import { startProxy } from './fixtures/proxy.ts'
import { sendRaw, statusOf } from './fixtures/raw-connection.ts'

const { port, upstream, bearer } = await startProxy(t)
const authorization = bearer([
  repositoryAccess(GRANTED, 'pull', 'push', 'delete'),
  repositoryAccess(`${GRANTED}/manifests`, 'pull'),
])

const send = (method: string, target: string) =>
  sendRaw(
    port,
    `${method} ${target} HTTP/1.1\r\nHost: registry.test\r\nConnection: close\r\nAuthorization: ${authorization}\r\n\r\n`,
  )
const shown = (target: string) => JSON.stringify(target.length > 100 ? `${target.slice(0, 100)}…` : target)

for (const target of REFUSED_TARGETS) {
  t.test(`a hostile target is refused: ${shown(target)}`, async (t) => {
    for (const method of ['GET', 'DELETE', 'PUT']) {
      const status = statusOf(await send(method, target))
      t.ok(status !== undefined && status >= 400 && status < 500, `${method} gets ${status}`)
    }
    t.same(upstream.requests, [], 'nothing reached the registry')
  })
}

for (const [target, expected] of REBUILT_TARGETS) {
  t.test(`the request to the registry is rebuilt from ${shown(target)}`, async (t) => {
    t.equal(statusOf(await send('GET', target)), 200)
    t.equal(upstream.only().url, expected)
    upstream.requests.length = 0
  })
}

t.test('methods outside of the registry API do not reach the registry', async (t) => {
  const target = `/v2/${GRANTED}/manifests/latest`
  for (const method of ['OPTIONS', 'TRACE', 'CONNECT', 'PROPFIND', 'MKCOL', 'QUERY', 'get', 'GETX']) {
    const status = statusOf(await send(method, target))
    // Node may close the connection without a response if it does not know the method.
    t.ok(status === undefined || (status >= 400 && status < 500), `${method} gets ${status}`)
  }
  t.same(upstream.requests, [])
})
