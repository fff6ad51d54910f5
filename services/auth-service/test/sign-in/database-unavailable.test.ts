import { connectPostgres } from '@registry-manager/database'
import t from 'tap'
import { startMigratedPostgres } from '@registry-manager/testing/real-postgres'
import { planUser } from '../fixtures/accounts.ts'
import type { Question } from '../fixtures/auth-service.ts'
import { SERVICE_CREDENTIAL, claimsOf, passwordOf, startAuthService } from '../fixtures/auth-service.ts'
import { until } from '@registry-manager/testing/until'

const SCOPE = 'repository:team/app:pull,push,delete registry:catalog:*'
const PULL = [{ type: 'repository', name: 'team/app', actions: ['pull'] }]
const EVERYTHING = [
  { type: 'repository', name: 'team/app', actions: ['pull', 'push', 'delete'] },
  { type: 'registry', name: 'catalog', actions: ['*'] },
]
const GET = { url: `/auth/v2/token?${new URLSearchParams({ scope: SCOPE })}` }
const byPassword = (username: string, password = passwordOf(username)): Question => ({
  method: 'POST',
  url: '/auth/v2/token',
  form: { grant_type: 'password', username, password, scope: SCOPE, access_type: 'offline' },
})
const byRefreshToken = (refresh_token: string): Question => ({
  method: 'POST',
  url: '/auth/v2/token',
  form: { grant_type: 'refresh_token', refresh_token, scope: SCOPE, access_type: 'offline' },
})
const exchangeOf = (username: string, password = passwordOf(username)): Question => {
  const access = EVERYTHING.slice(0, 1)
  const json = { username, password, address: '10.0.0.1', access }
  return { method: 'POST', url: '/internal/token-exchanges', json, bearer: SERVICE_CREDENTIAL }
}

t.test('pulls continue while the database is unavailable', async (t) => {
  const postgres = await startMigratedPostgres(t)
  if (postgres === undefined) return
  const db = connectPostgres(postgres.url)
  t.teardown(() => db.destroy())
  const { ask, askInternal, clock, users } = await startAuthService(t, db)
  const tokenOf = async (question: Question) => {
    const response = await ask(question)
    t.equal(response.statusCode, 200, `${question.method ?? 'GET'}: a token`)
    return response.json()
  }
  const accessOf = async (question: Question) => claimsOf((await tokenOf(question)).token).access

  await users.create(planUser('bob', { namespaces: ['team'], password: passwordOf('bob') }))
  const { refresh_token } = await tokenOf(byPassword('alice'))
  const identity: string = (await tokenOf({ url: '/auth/v2/token', as: 'alice' })).token
  await tokenOf({ ...GET, as: 'root' })
  const { refresh_token: bobs } = await tokenOf(byPassword('bob'))
  await tokenOf(byRefreshToken(bobs))
  const bob = await users.find('bob')
  await users.change('bob', { password: 'another-password' })
  // The service polls revocations each second; the last list holds during the outage.
  const revocations = { url: '/internal/revocations', bearer: SERVICE_CREDENTIAL }
  const known = async () => Object.keys((await askInternal(revocations)).json().accounts)
  await until(async () => (await known()).includes(bob?.id ?? ''), 'bob is in the revocations')

  await postgres.stop()
  // Until a poll fails, the revocation list confirms what was verified within the last minute.
  const isNoticed = async () =>
    (await askInternal({ url: '/readyz' })).json().parts.revocations.status !== 'ok'
  await until(isNoticed, 'a poll of the revocation list fails')

  await t.test('cached credentials and refresh tokens get pull-only tokens', async (t) => {
    t.strictSame(await accessOf({ ...GET, as: 'alice' }), PULL)
    t.strictSame(await accessOf({ ...GET, as: 'root' }), PULL, 'also cluster administrators')
    const posted = await tokenOf(byPassword('alice'))
    t.strictSame(claimsOf(posted.token).access, PULL)
    t.notOk('refresh_token' in posted, 'no refresh token is issued')
    t.equal(posted.scope, 'repository:team/app:pull')
    t.strictSame(await accessOf(byRefreshToken(refresh_token)), PULL)
    const exchanged = (await askInternal(exchangeOf('alice'))).json()
    t.strictSame(claimsOf(exchanged.token).access, PULL, 'a token exchange of the proxy')
    t.equal(exchanged.offline, true, 'the response says that the token is an offline token')
  })

  await t.test('credentials that are not cached get 503 with Retry-After', async (t) => {
    const unknown: readonly (readonly [why: string, question: Question])[] = [
      ['an account that did not sign in', { ...GET, as: 'olga' }],
      ['an unknown username', { ...GET, as: 'nobody' }],
      ['another password', { ...GET, as: 'alice', password: 'another-password' }],
      ['another password in a form', byPassword('alice', 'another-password')],
      ['an unknown refresh token', byRefreshToken('rmr_unknown')],
      ['a new password that was never used', { ...GET, as: 'bob', password: 'another-password' }],
      ['an identity token, whose account cannot be read', { ...GET, bearer: identity }],
    ]
    for (const [why, question] of unknown) {
      const response = await ask(question)
      t.equal(response.statusCode, 503, why)
      t.match(response.json(), { errors: [{ code: 'UNAVAILABLE' }] })
      t.ok(Number(response.headers['retry-after']) > 0)
    }
    t.equal((await askInternal(exchangeOf('olga'))).statusCode, 503, 'a token exchange of the proxy')
  })

  await t.test('revoked credentials stay revoked during an outage of the database', async (t) => {
    t.equal((await ask({ ...GET, as: 'bob' })).statusCode, 401)
    t.equal((await ask(byRefreshToken(bobs))).statusCode, 401)
    t.strictSame((await askInternal(exchangeOf('bob'))).json(), { outcome: 'refused' })
  })

  await t.test('invalid token requests get 400 and 401 during an outage of the database', async (t) => {
    t.equal((await ask({ url: '/auth/v2/token?service=x', as: 'alice' })).statusCode, 400)
    t.equal((await ask({ url: '/auth/v2/token' })).statusCode, 401)
  })

  await t.test('the users API responds 503 during an outage of the database', async (t) => {
    const fields = { username: 'carl', password: 'a-good-password' }
    const questions: readonly Question[] = [
      { url: '/user', as: 'alice' },
      { url: '/user', bearer: identity },
      { url: '/users', as: 'root' },
      { method: 'POST', url: '/user', json: fields, as: 'root' },
      { method: 'PATCH', url: '/user?username=alice&admin=true', as: 'root' },
      { method: 'DELETE', url: '/user?username=alice', as: 'root' },
      { method: 'POST', url: '/user/password', json: { password: 'a-good-password' }, as: 'alice' },
      { method: 'POST', url: '/user/namespaces?username=alice&namespaces=', as: 'root' },
      { method: 'DELETE', url: '/user/sessions', as: 'alice' },
    ]
    for (const question of questions) {
      const response = await ask(question)
      t.equal(response.statusCode, 503, `${question.method ?? 'GET'} ${question.url}`)
      t.match(response.headers['content-type'], /^application\/problem\+json/)
      t.ok(Number(response.headers['retry-after']) > 0)
    }
    const account = { url: `/internal/accounts/${bob?.id}`, bearer: SERVICE_CREDENTIAL }
    t.equal((await askInternal(account)).statusCode, 503)
  })

  await t.test(
    'keys and the last revocation list are served during an outage, and the probe reports it',
    async (t) => {
      t.equal((await ask({ url: '/.well-known/jwks.json' })).statusCode, 200)
      t.match(await known(), [bob?.id], 'the last revocation list')
      const probe = () => askInternal({ url: '/readyz' })
      await until(
        async () => (await probe()).json().parts.revocations.status !== 'ok',
        'the probe reports the outage',
      )
      const ready = await probe()
      t.equal(ready.statusCode, 200, 'the service is ready, since it serves pulls')
      t.match(ready.json(), { parts: { revocations: { status: 'degraded' } } })
    },
  )

  await t.test('cached credentials expire after 15 minutes', async (t) => {
    clock.ahead = 901_000
    t.equal((await ask({ ...GET, as: 'alice' })).statusCode, 503)
    t.equal((await ask(byRefreshToken(refresh_token))).statusCode, 503)
    clock.ahead = 0
    t.equal((await ask({ ...GET, as: 'alice' })).statusCode, 200)
  })

  await t.test('full tokens are issued again after the outage', async (t) => {
    await postgres.start()
    t.strictSame(await accessOf({ ...GET, as: 'alice' }), EVERYTHING)
    t.strictSame(await accessOf(byRefreshToken(refresh_token)), EVERYTHING)
    t.strictSame(await accessOf({ ...GET, as: 'olga' }), EVERYTHING)
    t.equal((await ask({ ...GET, as: 'bob' })).statusCode, 401)
    t.strictSame(await accessOf({ ...GET, as: 'bob', password: 'another-password' }), EVERYTHING)
    t.equal((await ask({ url: '/user', as: 'alice' })).statusCode, 200)
    t.strictSame(await accessOf({ ...GET, bearer: identity }), EVERYTHING)
  })

  await t.test(
    'requests during a crash of the database get responses, and later requests succeed',
    async (t) => {
      const asking = Array.from({ length: 30 }, (_, at) =>
        ask(at % 2 === 0 ? { ...GET, as: 'alice' } : { method: 'DELETE', url: '/user/sessions', as: 'olga' }),
      )
      await postgres.kill()
      for (const { statusCode } of await Promise.all(asking))
        t.ok([200, 204, 503].includes(statusCode), `${statusCode}`)
      // Postgres' processes survive their parent for a moment.
      const isPullOnly = async () => (await accessOf({ ...GET, as: 'alice' }))?.length === PULL.length
      await until(isPullOnly, 'tokens are pull-only after the database was killed')
      await postgres.start()
      t.strictSame(await accessOf({ ...GET, as: 'alice' }), EVERYTHING)
    },
  )
})
