import { once } from 'node:events'
import type { AddressInfo } from 'node:net'
import { connect } from 'node:net'
import type { Test } from 'tap'
import t from 'tap'
import { createMetrics } from '../src/metrics.ts'
import { ProblemError } from '../src/problem.ts'
import { createServer } from '../src/server.ts'

const SECRETS = ['hunter2', 'c2VjcmV0OmNyZWRlbnRpYWw', 'a-session', 'the-service-secret']
const headers = {
  authorization: 'Basic c2VjcmV0OmNyZWRlbnRpYWw=',
  cookie: 'sid=a-session',
  'x-secret': 'the-service-secret',
}

function build(t: Test) {
  const lines: string[] = []
  const app = createServer({
    name: 'test',
    logLevel: 'trace',
    metrics: createMetrics('test'),
    logStream: { write: (line) => void lines.push(line) },
  })
  app.all('/user', async () => 'good')
  app.all('/problem', async () => {
    throw new ProblemError({ status: 400, detail: 'password hunter2 is too short' })
  })
  app.all('/fault', async () => {
    throw new Error('a fault')
  })
  t.teardown(() => app.close())
  return { app, lines }
}

t.test('log lines contain no query string and no credential', async (t) => {
  const { app, lines } = build(t)
  const targets = [
    '/user?password=hunter2',
    '/user/?password=hunter2',
    '/user?',
    '/problem?password=hunter2',
    '/fault?password=hunter2',
    '/nowhere?password=hunter2',
    '/%zz?password=hunter2',
    '/user%zz?password=hunter2',
    '/user?password=hunter2%zz',
    `/${'x'.repeat(600)}?password=hunter2`,
  ]
  for (const url of targets) {
    for (const method of ['GET', 'POST'] as const) {
      await app.inject({ method, url, headers })
      const payload = '{"password":"hunter2"'
      if (method === 'POST') {
        await app.inject({
          method,
          url,
          headers: { ...headers, 'content-type': 'application/json' },
          payload,
        })
      }
    }
  }
  const log = lines.join('')
  for (const secret of SECRETS) t.notMatch(log, secret)
  t.match(log, '"path":"/user"', 'the path is logged')
  t.match(log, 'a fault', 'the error is logged')
})

t.test('log lines contain no credential of a malformed request', async (t) => {
  const { app, lines } = build(t)
  await app.listen({ host: '127.0.0.1', port: 0 })
  const { port } = app.server.address() as AddressInfo
  const malformed = [
    'GET /user?password=hunter2 HTTP/9.9\r\n\r\n',
    'GET /user?password=hunter2 HTTP/1.1\r\nHost: a\r\nAuthorization: Basic c2VjcmV0OmNyZWRlbnRpYWw=\r\nBad Header: x\r\n\r\n',
    'POST /user?password=hunter2 HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\nhunter2\r\n',
  ]
  for (const text of malformed) {
    const socket = connect(port, '127.0.0.1')
    socket.end(text)
    let response = ''
    socket.on('data', (chunk) => (response += chunk))
    await once(socket, 'close')
    t.match(response, /^HTTP\/1\.1 (400|415|505)/)
  }
  for (const secret of SECRETS) t.notMatch(lines.join(''), secret)
  t.equal((await app.inject('/user')).statusCode, 200, 'the server keeps serving')
})

t.test('paths may end with a slash and are case-sensitive', async (t) => {
  const { app } = build(t)
  t.equal((await app.inject('/user/')).statusCode, 200)
  t.equal((await app.inject('/User')).statusCode, 404)
  t.equal((await app.inject('//user')).statusCode, 404)
})

t.test('a body above the default limit of 64 KiB is refused', async (t) => {
  const { app } = build(t)
  const post = (bytes: number) =>
    app.inject({
      method: 'POST',
      url: '/user',
      headers: { 'content-type': 'text/plain' },
      payload: 'x'.repeat(bytes),
    })
  t.equal((await post(64 * 1024)).statusCode, 200)
  t.equal((await post(64 * 1024 + 1)).statusCode, 413)
})

const behind = (t: Test, trustedProxies: string | undefined) => {
  const metrics = createMetrics('test')
  const app = createServer({ name: 'test', logLevel: 'silent', trustedProxies, metrics })
  app.get('/address', async (request) => request.ip)
  app.get('/id', async (request) => request.id)
  t.teardown(() => app.close())
  return app
}

t.test('the client address is the connection’s, unless a trusted proxy names another one', async (t) => {
  const cases = [
    [undefined, '127.0.0.1', '203.0.113.7', '127.0.0.1'],
    ['10.0.0.0/8', '127.0.0.1', '203.0.113.7', '127.0.0.1'],
    ['127.0.0.1', '127.0.0.1', '203.0.113.7', '203.0.113.7'],
    ['127.0.0.0/8, ::1', '127.0.0.1', '203.0.113.7', '203.0.113.7'],
    ['127.0.0.0/8, ::1', '::1', '203.0.113.7', '203.0.113.7'],
    ['10.0.0.0/8', '::ffff:10.1.2.3', '203.0.113.7', '203.0.113.7'],
    ['fc00::/7', 'fd00::5', '2001:db8::7', '2001:db8::7'],
    ['fc00::/7', '2001:db8::1', '2001:db8::7', '2001:db8::1'],
    ['127.0.0.1', '127.0.0.1', '198.51.100.1, 203.0.113.7', '203.0.113.7'],
    ['127.0.0.1', '127.0.0.1', undefined, '127.0.0.1'],
    // A client on a private address that forged earlier entries.
    ['10.0.0.0/8,192.168.0.0/16', '10.1.2.3', '203.0.113.9, 192.168.7.7', '192.168.7.7'],
    ['10.0.0.0/8,192.168.0.0/16', '10.1.2.3', '203.0.113.9, 10.1.2.4, 192.168.7.7', '192.168.7.7'],
  ] as const
  for (const [trustedProxies, remoteAddress, forwardedFor, expected] of cases) {
    const headers = { 'x-real-ip': '192.0.2.1', ...(forwardedFor && { 'x-forwarded-for': forwardedFor }) }
    const { body } = await behind(t, trustedProxies).inject({ url: '/address', headers, remoteAddress })
    t.equal(
      body,
      expected,
      `trusted: ${trustedProxies ?? 'none'}; ${remoteAddress} forwards for ${forwardedFor}`,
    )
  }
})

t.test('a request gets the id that a trusted proxy sends', async (t) => {
  const id = async (trustedProxies: string | undefined, given: string, remoteAddress = '10.1.2.3') =>
    (
      await behind(t, trustedProxies).inject({
        url: '/id',
        headers: { 'x-request-id': given },
        remoteAddress,
      })
    ).body
  const given = '4fd07ba8d1a4a7f1fa4b6dd6d2f1ce44'
  t.equal(await id('10.0.0.0/8', given), given)
  t.not(await id(undefined, given), given, 'no proxy is trusted')
  t.not(await id('10.0.0.0/8', given, '203.0.113.7'), given, 'another proxy')
  for (const bad of ['', 'a b', '"},{"level":60', 'ä', 'a'.repeat(65)]) {
    t.match(await id('10.0.0.0/8', bad), /^[0-9a-f-]{36}$/, `${bad} is not accepted as an id`)
  }
})

t.test('requests without an id get a random one', async (t) => {
  const app = behind(t, '127.0.0.1')
  t.not((await app.inject('/id')).body, (await app.inject('/id')).body)
})
