import t from 'tap'
import { pgliteForTest } from '@registry-manager/testing/pglite'
import type { DirectoryConfig } from '../../src/directory/config.ts'
import { startAuthService } from '../fixtures/auth-service.ts'
import { managePersonalTokens } from '../fixtures/personal-tokens.ts'

/** A directory whose server does not exist. */
const DIRECTORY: DirectoryConfig = {
  servers: [{ url: 'ldaps://127.0.0.1:1', host: '127.0.0.1', port: 1, tls: true }],
  startTls: false,
  ca: undefined,
  baseDn: 'dc=example,dc=com',
  service: { dn: 'cn=service', password: 'password-of-the-service' },
  userFilter: undefined,
  bindTemplate: undefined,
  groups: undefined,
  autoCreate: false,
  refreshSeconds: 300,
}
const TOKEN = '/auth/v2/token'

const db = await pgliteForTest(t)
const { ask, askInternal, users, lines } = await startAuthService(t, db, { directory: DIRECTORY })
const directoryState = { dn: 'cn=dora', state: 'active', role: null, namespaces: ['team'] } as const
const DORA = {
  username: 'dora',
  directory: true,
  role: 'user',
  enabled: true,
  namespaces: [],
  password: null,
} as const
await users.create({ ...DORA, directoryState })

t.test('a directory user gets 503 from every endpoint while the directory is unavailable', async (t) => {
  for (let count = 0; count < 25; count += 1) {
    const answer = await ask({ url: TOKEN, as: 'dora' })
    t.equal(answer.statusCode, 503)
    t.match(answer.json(), { errors: [{ code: 'UNAVAILABLE', message: 'the directory is unavailable' }] })
    t.match(answer.headers['retry-after'], /^[1-9]\d*$/)
  }
  const user = await ask({ url: '/user', as: 'dora' })
  t.match(user.json(), { status: 503, detail: 'the directory is unavailable' })
  const payload = { username: 'dora', password: 'some-password', address: '10.0.0.1', access: null }
  const bearer = 'the-credential-that-services-share'
  const exchange = await askInternal({
    method: 'POST',
    url: '/internal/token-exchanges',
    bearer,
    json: payload,
  })
  t.equal(exchange.statusCode, 200)
  t.strictSame(
    exchange.json(),
    { outcome: 'unavailable', part: 'directory' },
    'a token exchange names the directory',
  )
})

t.test('no directory user can be created while the directory is unavailable', async (t) => {
  for (const question of [
    { method: 'POST', url: '/user', json: { username: 'erin', ad: true } },
    { method: 'PATCH', url: '/user', json: { username: 'alice', ad: true } },
  ] as const) {
    const answer = await ask({ ...question, as: 'root' })
    t.equal(answer.statusCode, 503)
    t.match(answer.json(), { detail: 'the directory is unavailable' })
    t.ok(answer.headers['retry-after'])
  }
  t.equal(await users.find('erin'), undefined)
  t.match(await users.find('alice'), { directory: false })
})

t.test('a personal token of a directory user works until the directory no longer has the user', async (t) => {
  const { password } = await managePersonalTokens(db, users).make('dora')
  const statusOf = async () => (await ask({ url: TOKEN, as: 'dora', password })).statusCode
  t.equal(await statusOf(), 200, 'it does not need the directory')
  for (const state of ['disabled', 'gone'] as const) {
    await users.change('dora', { directoryState: { ...directoryState, state } })
    t.equal(await statusOf(), 401, state)
  }
  await users.change('dora', { directoryState })
  t.equal(await statusOf(), 200)
})

t.test('without a service account, a directory user has no personal token', async (t) => {
  const other = await pgliteForTest(t)
  const directory = { ...DIRECTORY, service: undefined, bindTemplate: '{username}@example.com' }
  const service = await startAuthService(t, other, { directory })
  await service.users.create({ ...DORA, directoryState })
  const made = await managePersonalTokens(other, service.users).make('dora')
  const { statusCode } = await service.ask({ url: TOKEN, as: 'dora', password: made.password })
  t.equal(statusCode, 401, 'no refresh would show that the user has left')
})

t.test('local users and changes by administrators need no directory', async (t) => {
  t.equal((await ask({ url: TOKEN, as: 'alice' })).statusCode, 200, 'a local user')
  t.equal((await ask({ url: TOKEN, as: 'nobody' })).statusCode, 401, 'an unknown username')
  const change = { username: 'dora', namespaces: 'lab' }
  const changed = await ask({ method: 'POST', url: '/user/namespaces', as: 'root', form: change })
  t.match(changed.json(), { ad: true, namespaces: ['lab', 'team'] }, 'a change of a directory user')
  const password = await ask({
    method: 'POST',
    url: '/user/password',
    as: 'root',
    form: { username: 'dora', password: 'x'.repeat(9) },
  })
  t.equal(password.statusCode, 409)
})

t.test(
  'the service is ready and reports the unavailable directory in its probe, metrics and log',
  async (t) => {
    const ready = await askInternal({ url: '/readyz' })
    t.equal(ready.statusCode, 200)
    t.match(ready.json(), {
      parts: { directory: { status: 'degraded', reason: /ldaps:\/\/127\.0\.0\.1:1.*ECONNREFUSED/ } },
    })
    const metrics = (await askInternal({ url: '/metrics' })).body
    t.match(metrics, /^directory_up\{[^}]*\} 0$/m)
    t.match(metrics, /^directory_sign_ins_total\{result="unavailable"[^}]*\} 2\d$/m)
    t.match(metrics, /^directory_operations_total\{operation="connect",outcome="failed"[^}]*\} \d+$/m)
    t.notMatch(metrics, 'dora')
    const warnings = lines.filter((line) => line.includes('is unavailable') && line.includes('"level":40'))
    t.ok(warnings.length >= 1 && warnings.length <= 3, `${warnings.length} warnings in the log`)
  },
)
