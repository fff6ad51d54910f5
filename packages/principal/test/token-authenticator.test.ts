import type { RequestListener } from 'node:http'
import { createServer } from 'node:http'
import type { AddressInfo } from 'node:net'
import { until } from '@registry-manager/testing/until'
import type { Test } from 'tap'
import t from 'tap'
import { createAuthenticator } from '../src/token-authenticator.ts'

/** Starts an auth-service whose exchanges never end; returns an authenticator that uses it, and the request paths. */
async function startAuthenticator(t: Test, now: () => number, onRequest: () => void = () => {}) {
  const paths: string[] = []
  const respond: RequestListener = (request, response) => {
    paths.push(request.url ?? '')
    onRequest()
    if (request.url === '/internal/revocations') response.end('{"accounts":{"a":2}}')
    if (request.url === '/.well-known/jwks.json') response.end('{"keys":[]}')
  }
  const server = createServer(respond)
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve))
  t.teardown(() => {
    server.closeAllConnections()
    server.close()
  })
  const url = `http://127.0.0.1:${(server.address() as AddressInfo).port}`
  const authenticator = createAuthenticator({
    authService: { url, credential: 'the-credential-that-services-share' },
    name: 'registry-proxy',
    issuer: 'auth-service',
    audience: 'registry',
    now,
  })
  const polls = () => paths.filter((path) => path === '/internal/revocations').length
  return { authenticator, paths, polls }
}

t.test('a burst of slow password exchanges does not delay the revocation poll', async (t) => {
  const { authenticator, paths, polls } = await startAuthenticator(t, Date.now)
  let ended = 0
  const exchanges = Array.from({ length: 300 }, async (_, index) => {
    const credentials = { kind: 'basic', username: `user-${index}`, password: 'pw' } as const
    await authenticator.authenticate(credentials, '192.0.2.1', null).catch(() => {})
    ended += 1
  })
  await until(() => paths.length >= 128, 'the connections for exchanges are in use')
  authenticator.feed.start()
  t.teardown(authenticator.feed.stop)
  await until(() => polls() > 0 || ended > 0, 'a poll or the end of an exchange')
  t.strictSame({ polls: polls(), ended }, { polls: 1, ended: 0 })
  await Promise.all(exchanges)
})

t.test('a wall clock that is set back does not pause the revocation poll', async (t) => {
  let now = Date.now()
  const { authenticator, polls } = await startAuthenticator(
    t,
    () => now,
    () => (now -= 3_600_000),
  )
  authenticator.feed.start()
  t.teardown(authenticator.feed.stop)
  await until(() => polls() >= 3, 'two polls after the first change of the clock')
  t.equal(await authenticator.feed.check(), 'ok')
})
