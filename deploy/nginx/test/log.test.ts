import t from 'tap'
import { send, sendHttp2, sendRaw } from './fixtures/client.ts'
import { startIngress } from './fixtures/ingress.ts'

const SECRET = 'hunter2'

t.test('the access log is JSON, and no log contains a secret', async (t) => {
  const services = { 'image-manager': [undefined, undefined] }
  const ingress = await startIngress(t, { services, variables: { CLIENT_CONNECTIONS: '50' } })
  const headers = {
    authorization: `Basic ${SECRET}`,
    cookie: `sid=${SECRET}`,
    referer: `https://a/?${SECRET}`,
    'user-agent': 'a "client" \\ of \u{e9}',
    'x-secret': SECRET,
  }
  for (const path of ['/user', '/v2/', '/image-manager', '/%zz', '/v2/a%2Fb']) {
    for (const method of ['GET', 'POST', 'DELETE']) {
      const request = { path: `${path}?password=${SECRET}&_state=${SECRET}`, method, headers }
      await send(ingress, request)
      await sendHttp2(ingress, request)
    }
  }
  await send(ingress, { path: `/user?password=${SECRET}`, method: 'POST', body: Buffer.alloc(2 << 20) })
  await send(ingress, { path: `/user?password=${SECRET}&${'x'.repeat(20_000)}` })
  await send(ingress, { path: `/user?password=${SECRET}`, headers: { a: 'x'.repeat(20_000) } })
  await sendRaw(ingress, `GET /user?password=${SECRET} HTTP/1.1\r\nHost: a b\r\n\r\n`)
  await sendRaw(ingress, `GET /user?password=${SECRET} HTTP/9.1\r\nHost: a\r\n\r\n`)
  await sendRaw(ingress, `${SECRET}\r\n\r\n`)

  const lines = ingress.accessLog()
  t.ok(lines.length > 30)
  t.notMatch(ingress.logged(), SECRET)
  const last = lines.find(({ path, method }) => path === '/v2/a%2Fb' && method === 'DELETE')
  t.match(last, {
    time: /^\d{4}-\d\d-\d\dT/,
    id: /^[0-9a-f]{32}$/,
    address: '127.0.0.1',
    scheme: 'https',
    status: '200',
    service: 'registry-proxy',
    upstream: /^127\.0\.0\.1:\d+$/,
    upstreamStatus: '200',
    seconds: /^\d+\.\d+$/,
  })
  t.match(
    lines.find(({ service, status }) => service === 'image-manager' && status === '502'),
    { method: /GET|POST|DELETE/, path: '/image-manager', upstreamStatus: /502/ },
    'an unavailable service is visible in the log',
  )
  t.equal(
    lines.filter(
      ({ service, method, status }) => service === 'image-manager' && method === 'POST' && status === '502',
    ).length,
    2,
    "an error of nginx itself is logged with the client's method",
  )
})
