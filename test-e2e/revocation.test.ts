import { setTimeout as sleep } from 'node:timers/promises'
import t from 'tap'
import { waitForAllReplicas } from './harness/all-replicas.ts'
import { createForeignIssuer } from './harness/foreign-tokens.ts'
import { personalTokens } from './harness/registry-tokens.ts'
import { pushSmallImage } from './harness/small-image.ts'
import type { System } from './harness/system.ts'
import { basic, startSystem, tokenFor } from './harness/system.ts'

/** The longest time that a revoked token may still work. */
const DEADLINE_MS = 5000
/** The longest time until every replica of auth-service knows of a change. */
const REPLICAS_MS = 2500

async function statusWith(system: System, authorization: string): Promise<number> {
  const response = await fetch(`${system.url}/v2/team/app/manifests/v1`, { headers: { authorization } })
  await response.arrayBuffer()
  return response.status
}

function statusWithin(system: System, authorization: string, expected: number): Promise<number> {
  return waitForAllReplicas(() => statusWith(system, authorization), expected, DEADLINE_MS)
}

t.test('revoked access tokens and cached passwords are refused within 5 seconds', async (t) => {
  const system = await startSystem(t)
  const { admin } = system
  await pushSmallImage(system, admin, 'team/app', 'v1')
  const change = async (method: string, path: string, body: object) => {
    const headers = { authorization: basic(admin), 'content-type': 'application/json' }
    const response = await fetch(`${system.url}${path}`, { method, headers, body: JSON.stringify(body) })
    t.ok(response.ok, `${method} ${path}: ${response.status}`)
  }

  const cases = [
    { what: 'deleted', method: 'DELETE', path: '/user', body: {}, password: 'dies' },
    { what: 'disabled', method: 'PATCH', path: '/user', body: { enabled: false }, password: 'dies' },
    {
      what: 'other namespaces',
      method: 'POST',
      path: '/user/namespaces',
      body: { namespaces: 'lab' },
      password: 'denied',
    },
    {
      what: 'another password',
      method: 'POST',
      path: '/user/password',
      body: { password: 'a-new-password' },
      password: 'dies',
    },
    { what: 'signed out', method: 'DELETE', path: '/user/sessions', body: {}, password: 'lives' },
  ]
  for (const [index, { what, method, path, body, password }] of cases.entries()) {
    const username = `user${index}`
    const user = await system.createUser(username, ['team'])
    const bearer = `Bearer ${await tokenFor(system, user, 'repository:team/app:pull')}`
    t.equal(await statusWith(system, bearer), 200, `${what}: the token works before the change`)
    t.equal(await statusWith(system, basic(user)), 200, `${what}: the password works before the change`)

    await change(method, path, { username, ...body })
    t.equal(await statusWithin(system, bearer, 401), 401, `${what}: the token is refused`)
    // Until then another replica may still accept the password. Each refusal before that would count as a failed sign-in.
    await sleep(REPLICAS_MS)
    const after = { dies: 401, denied: 403, lives: 200 }[password] ?? 0
    t.equal(await statusWithin(system, basic(user), after), after, `${what}: the password ${password}`)
  }
})

t.test('a user that is created again with the same name does not inherit old tokens', async (t) => {
  const system = await startSystem(t)
  await pushSmallImage(system, system.admin, 'team/app', 'v1')
  const user = await system.createUser('jane', ['team'])
  const bearer = `Bearer ${await tokenFor(system, user, 'repository:team/app:pull')}`
  const headers = { authorization: basic(system.admin) }
  await fetch(`${system.url}/user?username=jane`, { method: 'DELETE', headers })
  await system.createUser('jane', ['team'])
  t.equal(await statusWithin(system, bearer, 401), 401, "the deleted user's token is refused")
})

t.test(
  'a changed grant takes effect on every replica within 5 seconds, for personal tokens too',
  async (t) => {
    const system = await startSystem(t)
    await pushSmallImage(system, system.admin, 'team/app', 'v1')
    const user = await system.createUser('jane', [])
    const setGrants = async (...roles: string[]) => {
      const items = roles.map((role) => {
        return { subject: { kind: 'user', name: 'jane' }, repositories: 'team/*', role }
      })
      const headers = { authorization: basic(system.admin), 'content-type': 'application/json' }
      const body = JSON.stringify({ items })
      const response = await fetch(`${system.url}/namespaces/team/grants`, { method: 'PUT', headers, body })
      t.equal(response.status, 200)
    }
    const personal = await personalTokens(system, user).make('laptop')
    t.equal(await statusWith(system, basic(user)), 403, 'no grant yet')
    await setGrants('reader')
    const credentials = { 'the password': user, 'the personal token': personal }
    const bearers = new Map<string, string>()
    for (const [what, one] of Object.entries(credentials)) {
      t.equal(await statusWithin(system, basic(one), 200), 200, `${what} permits pulls`)
      bearers.set(what, `Bearer ${await tokenFor(system, one, 'repository:team/app:pull')}`)
    }
    for (const bearer of bearers.values()) t.equal(await statusWith(system, bearer), 200)
    await setGrants()
    for (const [what, one] of Object.entries(credentials)) {
      const bearer = bearers.get(what) ?? ''
      t.equal(await statusWithin(system, bearer, 401), 401, `the access token of ${what} is refused`)
      t.equal(await statusWithin(system, basic(one), 403), 403, `${what} permits nothing`)
    }
  },
)

t.test('a changed trust rule takes effect on every replica within 5 seconds', async (t) => {
  const system = await startSystem(t)
  await pushSmallImage(system, system.admin, 'team/app', 'v1')
  const issuer = createForeignIssuer(system)
  const rule = {
    name: 'job',
    issuer: 'https://issuer.example',
    audience: system.host,
    claims: { repository: 'acme/app' },
    scopes: [{ type: 'repository', name: 'team/app', actions: ['pull'] }],
  }
  const rules = '/namespaces/team/trust-rules'
  await issuer.sendRule('POST', rules, rule)
  const job = {
    username: 'job',
    password: await issuer.sign({ iss: rule.issuer, sub: 'job-1', repository: 'acme/app' }),
  }
  t.equal(await statusWithin(system, basic(job), 200), 200, 'the token of the issuer permits pulls')
  const bearer = `Bearer ${await tokenFor(system, job, 'repository:team/app:pull')}`
  t.equal(await statusWith(system, bearer), 200)
  const headers = { authorization: basic(system.admin), 'content-type': 'application/json' }
  const conditions = { networks: ['192.0.2.1'] }
  const items = [{ ...rule, jwks: issuer.jwks, conditions }]
  const body = JSON.stringify({ items })
  const changed = await fetch(`${system.url}${rules}`, { method: 'PUT', headers, body })
  t.equal(changed.status, 200)
  t.equal(await statusWithin(system, bearer, 401), 401, 'the access token is refused')
  t.equal(await statusWithin(system, basic(job), 401), 401, 'the token of the issuer is refused')
})
