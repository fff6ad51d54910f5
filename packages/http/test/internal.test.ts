import type { Test } from 'tap'
import t from 'tap'
import { stopBeingReady } from '../src/drain.ts'
import type { HealthCheck } from '../src/internal.ts'
import { health, requireServiceCredential } from '../src/internal.ts'
import { createMetrics } from '../src/metrics.ts'
import { createServer } from '../src/server.ts'

const CREDENTIAL = 'the-credential-that-services-share'

async function build(t: Test, checks: Readonly<Record<string, HealthCheck>> = {}) {
  const metrics = createMetrics('test')
  const app = createServer({ name: 'test', logLevel: 'silent', metrics })
  await app.register(health, { metrics, checks })
  await app.register(async (scope) => {
    requireServiceCredential(scope, CREDENTIAL)
    scope.get('/internal/:thing', async () => ({ secret: true }))
  })
  t.teardown(() => app.close())
  return app
}

t.test('internal routes require the service credential', async (t) => {
  const app = await build(t)
  const get = (authorization?: string) =>
    app.inject({ url: '/internal/x', headers: authorization === undefined ? {} : { authorization } })
  t.equal((await get(`Bearer ${CREDENTIAL}`)).statusCode, 200)
  const refused = [
    undefined,
    '',
    'Bearer',
    'Bearer ',
    CREDENTIAL,
    `Bearer ${CREDENTIAL}x`,
    `Bearer ${CREDENTIAL.slice(0, -1)}`,
    `Bearer ${CREDENTIAL.toUpperCase()}`,
    `Basic ${Buffer.from(`service:${CREDENTIAL}`).toString('base64')}`,
    'Bearer undefined',
  ]
  for (const authorization of refused) {
    const response = await get(authorization)
    t.equal(response.statusCode, 401, `refused: ${authorization}`)
    t.notMatch(response.body, CREDENTIAL)
  }
})

t.test('probes require no credential', async (t) => {
  const app = await build(t)
  t.equal((await app.inject('/livez')).statusCode, 200)
  t.strictSame((await app.inject('/readyz')).json(), { status: 'ok', parts: {} })
})

t.test('/readyz and the metrics report each health check', async (t) => {
  const ok: HealthCheck = async () => 'ok'
  const degraded: HealthCheck = async () => ({ degraded: 'slow' })
  const failed: HealthCheck = async () => {
    throw new Error('broken')
  }
  const [slow, broken] = [
    { status: 'degraded', reason: 'slow' },
    { status: 'failed', reason: 'broken' },
  ]
  const cases = [
    [{ a: ok }, 200, { status: 'ok', parts: { a: { status: 'ok' } } }],
    [{ a: ok, b: degraded }, 200, { status: 'ok', parts: { a: { status: 'ok' }, b: slow } }],
    [{ a: failed, b: degraded }, 503, { status: 'failed', parts: { a: broken, b: slow } }],
  ] as const
  for (const [checks, status, body] of cases) {
    const app = await build(t, checks)
    const response = await app.inject('/readyz')
    t.equal(response.statusCode, status)
    t.strictSame(response.json(), body)
    t.equal((await app.inject('/livez')).statusCode, 200, '/livez does not depend on the checks')
    const metrics = (await app.inject('/metrics')).body
    for (const [part, { status: is }] of Object.entries(body.parts)) {
      const value = ['ok', 'degraded', 'failed'].indexOf(is)
      t.match(metrics, `health_check_status{part="${part}",service="test"} ${value}\n`)
    }
  }
})

t.test('metrics count requests by route, never by URL', async (t) => {
  const app = await build(t)
  await app.inject({
    url: '/internal/some-image?password=x',
    headers: { authorization: `Bearer ${CREDENTIAL}` },
  })
  await app.inject('/nowhere/some-other-image')
  const response = await app.inject('/metrics')
  t.match(response.headers['content-type'], /^text\/plain/)
  t.match(
    response.body,
    /http_request_duration_seconds_count\{service="test",method="GET",route="\/internal\/:thing",status="200"\} 1$/m,
  )
  t.match(
    response.body,
    /http_request_duration_seconds_count\{service="test",method="GET",route="none",status="404"\} 1$/m,
  )
  t.notMatch(response.body, /some-image|some-other-image|password/)
})

t.test('a stopping service is alive but not ready', async (t) => {
  const app = await build(t)
  stopBeingReady(app.server)
  t.match(await app.inject('/readyz'), { statusCode: 503, body: '{"status":"stopping"}' })
  t.equal((await app.inject('/livez')).statusCode, 200)
})
