import type { Test } from 'tap'
import t from 'tap'
import { requireServiceCredential } from '../src/internal.ts'
import { createMetrics } from '../src/metrics.ts'
import type { RequestPrincipal } from '../src/request-context.ts'
import {
  CONTEXT_HEADER,
  currentRequestContext,
  requestContextHeaders,
  setRequestPrincipal,
} from '../src/request-context.ts'
import { createServer } from '../src/server.ts'

const CREDENTIAL = 'the-credential-that-services-share'
const jane: RequestPrincipal = { kind: 'user', id: '7', name: 'jane' }
const given = { requestId: 'r-1', address: '192.0.2.7', principal: jane }

const encode = (value: unknown) => Buffer.from(JSON.stringify(value)).toString('base64url')

/** A server with one public and one internal route; both respond with the context that they see. */
async function build(t: Test) {
  const lines: string[] = []
  const logStream = { write: (line: string) => void lines.push(line) }
  const app = createServer({ name: 'test', logLevel: 'info', metrics: createMetrics('test'), logStream })
  app.post('/public', async () => {
    await new Promise((resolve) => setImmediate(resolve))
    setRequestPrincipal(jane)
    return currentRequestContext()
  })
  app.post('/anonymous', async () => currentRequestContext())
  await app.register(async (scope) => {
    requireServiceCredential(scope, CREDENTIAL)
    scope.post('/internal', async () => ({
      context: currentRequestContext(),
      headers: requestContextHeaders(),
    }))
  })
  t.teardown(() => app.close())
  return { app, lines }
}

t.test(
  'a request has a context with its id, the address and, once it is authenticated, the principal',
  async (t) => {
    const { app } = await build(t)
    const payload = { some: 'body' }
    const first = await app.inject({ method: 'POST', url: '/public', payload, remoteAddress: '192.0.2.1' })
    t.match(first.json(), { address: '192.0.2.1', principal: jane })
    t.match(first.json().requestId, /^[0-9a-f-]{36}$/)
    const second = await app.inject({ method: 'POST', url: '/anonymous', payload })
    t.equal(second.json().principal, null, 'contexts are not shared between requests')
    t.not(second.json().requestId, first.json().requestId)
    t.equal(currentRequestContext(), undefined, 'there is none outside of requests')
    t.same(requestContextHeaders(), {})
  },
)

t.test('a service takes over the context that another service sends, and passes it on', async (t) => {
  const { app } = await build(t)
  const send = (context: string | undefined) =>
    app.inject({
      method: 'POST',
      url: '/internal',
      headers: { authorization: `Bearer ${CREDENTIAL}`, ...(context && { [CONTEXT_HEADER]: context }) },
    })
  const { context, headers } = (await send(encode(given))).json()
  t.same(context, given)
  t.same(headers, { [CONTEXT_HEADER]: encode(given) })
  const via = { kind: 'personal-token', id: '7', name: 'jane', via: { id: '8', name: 'laptop' } }
  const byToken = (await send(encode({ ...given, principal: via }))).json()
  t.same(byToken.context.principal, via, 'a personal token is passed on, too')
  const broken = [
    'x',
    encode(null),
    encode({ ...given, address: 7 }),
    encode({ ...given, principal: 'jane' }),
    encode({ ...given, principal: { ...jane, via: 'laptop' } }),
    encode({ ...given, principal: { ...jane, via: { id: 8, name: 'laptop' } } }),
  ]
  const strange = encode({ ...given, principal: { ...jane, kind: 'root' } })
  const long = encode({ ...given, requestId: 'r'.repeat(2048) })
  for (const bad of [undefined, ...broken, strange, long]) {
    const response = await send(bad)
    t.equal(response.statusCode, 200)
    t.equal(response.json().context.principal, null, `the context is the request's own: ${bad?.slice(0, 40)}`)
  }
})

t.test('a client cannot set the context', async (t) => {
  const { app } = await build(t)
  const headers = { [CONTEXT_HEADER]: encode(given) }
  const onPublic = await app.inject({ method: 'POST', url: '/anonymous', headers })
  t.match(onPublic.json(), { address: '127.0.0.1', principal: null })
  const refused = await app.inject({ method: 'POST', url: '/internal', headers })
  t.equal(refused.statusCode, 401)
})

t.test('the log names the account of a completed request', async (t) => {
  const { app, lines } = await build(t)
  await app.inject({ method: 'POST', url: '/public' })
  await app.inject({ method: 'POST', url: '/anonymous' })
  const completed = lines.map((line) => JSON.parse(line)).filter(({ msg }) => msg === 'request completed')
  t.match(completed, [{ account: 'jane' }, { account: undefined }])
})
