import t from 'tap'
import { pgliteForTest } from '@registry-manager/testing/pglite'
import type { DirectoryConfig } from '../../src/directory/config.ts'
import { startAuthService } from '../fixtures/auth-service.ts'

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

const { ask, askInternal, users, lines } = await startAuthService(t, await pgliteForTest(t), {
  directory: DIRECTORY,
})
const directoryState = { dn: 'cn=dora', state: 'active', role: null, namespaces: ['team'] } as const
await users.create({
  username: 'dora',
  directory: true,
  role: 'user',
  enabled: true,
  namespaces: [],
  password: null,
  directoryState,
})

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
    t.match(metrics, /^directory_sign_ins_total\{result="away"[^}]*\} 2\d$/m)
    t.match(metrics, /^directory_operations_total\{operation="connect",outcome="failed"[^}]*\} \d+$/m)
    t.notMatch(metrics, 'dora')
    const warnings = lines.filter((line) => line.includes('is unavailable') && line.includes('"level":40'))
    t.ok(warnings.length >= 1 && warnings.length <= 3, `${warnings.length} warnings in the log`)
  },
)
