import t from 'tap'
import { createMetrics } from '../src/metrics.ts'
import { setRequestPrincipal } from '../src/request-context.ts'
import { createServer } from '../src/server.ts'

const app = createServer({ name: 'test', logLevel: 'silent', metrics: createMetrics('test') })
app.get('/anonymous', async () => 'good')
app.get('/as/:name', async ({ params }) => {
  setRequestPrincipal({ kind: 'user', id: '7', name: (params as { name: string }).name })
  return 'good'
})
app.get('/failing', async () => {
  setRequestPrincipal({ kind: 'user', id: '7', name: 'jane' })
  throw new Error('broken')
})
t.teardown(() => app.close())

const accountOf = async (url: string, headers: Record<string, string> = { 'x-log-account': '1' }) =>
  (await app.inject({ url, headers })).headers['x-account']

t.test('a response names the account if nginx asks for it, and only then', async (t) => {
  t.equal(await accountOf('/as/jane@example.com'), 'jane@example.com')
  t.equal(await accountOf('/failing'), 'jane', 'also the response of a request that failed')
  t.equal(await accountOf('/as/jane', {}), undefined)
  t.equal(await accountOf('/anonymous'), undefined)
})

t.test('an account name with special characters is encoded for header and log', async (t) => {
  const strange = 'j\u00e4ne "x"\r\n%\\\u{1f600}'
  const header = await accountOf(`/as/${encodeURIComponent(strange)}`)
  t.match(header, /^[\u0021-\u007e]+$/)
  t.notMatch(header, /["\\]/)
  t.equal(decodeURIComponent(String(header)), strange)
})
