import t from 'tap'
import { createMetrics } from '../src/metrics.ts'
import { createServer } from '../src/server.ts'

const POLLED = [
  '/internal/revocations',
  '/internal/revocations?since=1',
  '/internal/collection/claims',
  '/internal/collection/listings',
  '/livez',
  '/readyz',
  '/metrics',
]

/** The log lines of a server at this level, after one request to each path; `/readyz` fails. */
async function linesOf(logLevel: string, paths: readonly string[]) {
  const lines: string[] = []
  const logStream = { write: (line: string) => void lines.push(line) }
  const app = createServer({ name: 'test', logLevel, metrics: createMetrics('test'), logStream })
  t.teardown(() => app.close())
  app.get('/readyz', async (_request, reply) => reply.code(503).send('no'))
  app.get('/*', async () => 'good')
  for (const path of paths) await app.inject(path)
  return lines.map((line) => JSON.parse(line))
}

t.test('successful polls are not logged at the default level, failed ones are', async (t) => {
  const succeeding = POLLED.filter((path) => path !== '/readyz')
  t.same(await linesOf('info', succeeding), [])
  const [line, ...more] = await linesOf('info', ['/readyz'])
  t.match(line, { level: 30, req: { path: '/readyz' }, res: { statusCode: 503 }, msg: 'request completed' })
  t.same(more, [])
})

t.test('a completed request is logged with its address even if its connection has ended', async (t) => {
  for (const trustedProxies of [undefined, '127.0.0.1']) {
    const lines: string[] = []
    const logStream = { write: (line: string) => void lines.push(line) }
    const metrics = createMetrics('test')
    const app = createServer({ name: 'test', logLevel: 'info', metrics, logStream, trustedProxies })
    t.teardown(() => app.close())
    app.get('/', async (request) => {
      // Node does this to a request whose connection is closed.
      Object.defineProperty(request.raw, 'socket', { value: null })
      return 'good'
    })
    const headers = trustedProxies === undefined ? {} : { 'x-forwarded-for': '192.0.2.1' }
    await app.inject({ url: '/', headers })
    const expected = trustedProxies === undefined ? '127.0.0.1' : '192.0.2.1'
    t.match(JSON.parse(lines[0] ?? ''), { req: { remoteAddress: expected }, msg: 'request completed' })
  }
})

t.test('polls are logged at debug level', async (t) => {
  t.equal((await linesOf('debug', POLLED)).length, 2 * POLLED.length)
})

t.test('every other request is logged at the default level', async (t) => {
  const paths = [
    '/',
    '/internal/collection/claims/1/results',
    '/internal/catalog',
    '/internal/revocationsx',
    '/livez/x',
    '/v2/livez',
  ]
  const lines = await linesOf('info', paths)
  t.same(
    lines.map(({ req }) => req.path),
    paths,
  )
})
