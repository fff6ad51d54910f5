import t from 'tap'
import { pgliteForTest } from '@registry-manager/testing/pglite'
import { claimsOf, passwordOf, startAuthService } from './fixtures/auth-service.ts'
import { BODIES, QUERIES, USERS_ROUTES, randomObjects } from './fixtures/malformed.ts'

const { db, lines, publicApp } = await startAuthService(t, await pgliteForTest(t))

const authorization = `Basic ${Buffer.from(`root:${passwordOf('root')}`).toString('base64')}`

interface Sent {
  readonly method: 'GET' | 'POST' | 'PATCH' | 'DELETE'
  readonly url: string
  readonly payload?: string | Buffer
  readonly headers?: Record<string, string>
}

/** The fault of the response to a malformed request; undefined for a proper refusal. */
async function faultOf(sent: Sent, shape: 'problem' | 'errors'): Promise<string | undefined> {
  const response = await publicApp.inject({ ...sent, headers: { authorization, ...sent.headers } })
  const { statusCode: status, body, headers } = response
  const shown = `${sent.method} ${sent.url.slice(0, 80)} ${sent.headers?.['content-type'] ?? ''} ${String(sent.payload).slice(0, 80)}`
  const fault = (what: string) => `${shown}: ${what} (${status} ${body.slice(0, 200)})`
  if (status < 400 || status >= 500) return fault('not a 4xx')
  const told = JSON.parse(body)
  if (shape === 'errors') {
    const [error] = told.errors ?? []
    return error?.code && error?.message ? undefined : fault('not the error shape')
  }
  if (!headers['content-type']?.toString().startsWith('application/problem+json'))
    return fault('the content type')
  return told.status === status && told.title && told.detail ? undefined : fault('not the error shape')
}

async function faultsOf(requests: Iterable<Sent>, shape: 'problem' | 'errors' = 'problem') {
  const [faults, all] = [[] as string[], [...requests]]
  for (const request of all) {
    const fault = await faultOf(request, shape)
    if (fault !== undefined) faults.push(fault)
  }
  return { faults, count: all.length }
}

const accountsNow = () => db.selectFrom('accounts').selectAll().orderBy('username').execute()
const before = await accountsNow()

for (const [method, path] of USERS_ROUTES) {
  t.test(`${method} ${path} refuses malformed queries and bodies with 4xx`, async (t) => {
    const queries = QUERIES.map((query) => ({ method, url: `${path}?${query}` }))
    const found = await faultsOf(queries)
    t.same(found.faults, [], `${found.count} queries`)
    if (method === 'GET') return
    const bodies = BODIES.map(({ type, payload }) => ({
      method,
      url: path,
      payload,
      headers: { 'content-type': type },
    }))
    const bad = await faultsOf(bodies)
    t.same(bad.faults, [], `${bad.count} bodies`)
    const random = await faultsOf(
      [...randomObjects(100)].map((body) => ({
        method,
        url: path,
        payload: JSON.stringify(body),
        headers: { 'content-type': 'application/json' },
      })),
    )
    t.same(random.faults, [], `${random.count} random objects`)
  })
}

t.test('the token endpoint refuses malformed bodies and ignores malformed scopes', async (t) => {
  const url = '/auth/v2/token'
  const bodies = BODIES.map(({ type, payload }) => ({
    method: 'POST' as const,
    url,
    payload,
    headers: { 'content-type': type },
  }))
  const posted = await faultsOf(bodies, 'errors')
  t.same(posted.faults, [], `${posted.count} bodies`)
  const scopes = [
    '%',
    '%00',
    ':::',
    'a',
    'a:b',
    '%ff',
    'repository:a:',
    '('.repeat(5000),
    'x:'.repeat(5000),
    '%0a',
  ]
  for (const scope of scopes) {
    const response = await publicApp.inject({ url: `${url}?scope=${scope}`, headers: { authorization } })
    t.equal(response.statusCode, 200, scope.slice(0, 20))
    t.strictSame(claimsOf(response.json().token).access, [], 'nothing is granted')
  }
})

t.test('malformed requests changed no account and logged no error', async (t) => {
  t.strictSame(await accountsNow(), before)
  t.same(
    lines.filter((line) => JSON.parse(line).level >= 50),
    [],
    'no log line is an error',
  )
  t.equal((await publicApp.inject({ url: '/user', headers: { authorization } })).statusCode, 200)
})
