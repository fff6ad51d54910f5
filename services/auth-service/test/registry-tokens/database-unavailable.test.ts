import { connectPostgres } from '@registry-manager/database'
import t from 'tap'
import { startMigratedPostgres } from '@registry-manager/testing/real-postgres'
import type { Question } from '../fixtures/auth-service.ts'
import { SERVICE_CREDENTIAL, claimsOf, startAuthService } from '../fixtures/auth-service.ts'
import { PUSH_TEAM, personalTokensApi } from '../fixtures/personal-tokens.ts'
import { tokensApi } from '../fixtures/registry-tokens.ts'
import { until } from '@registry-manager/testing/until'

const scopes = [{ type: 'repository', name: 'team/*', actions: ['pull', 'push', 'delete'] }]
const SCOPE = 'repository:team/app:pull,push,delete registry:catalog:*'
const PULL = [{ type: 'repository', name: 'team/app', actions: ['pull'] }]
const question = (as: string, password: string): Question => ({
  url: `/auth/v2/token?${new URLSearchParams({ scope: SCOPE })}`,
  as,
  password,
})

t.test(
  'registry tokens and personal tokens permit only pulls while the database is unavailable',
  async (t) => {
    const postgres = await startMigratedPostgres(t)
    if (postgres === undefined) return
    const db = connectPostgres(postgres.url)
    t.teardown(() => db.destroy())
    const { ask, askInternal, clock } = await startAuthService(t, db)
    const api = await tokensApi(ask)
    const known = await api.make({ name: 'known', scopes })
    const stranger = await api.make({ name: 'stranger', scopes })
    const dies = await api.make({ name: 'dies', scopes })
    // Before any offline token would expire.
    const expires = Math.floor(Date.now() / 1000) + 60
    const ends = await api.make({ name: 'ends', scopes, expiryDate: new Date(expires * 1000).toISOString() })
    const signIn = ({ as, password }: typeof known) => ask(question(as, password))
    const alice = personalTokensApi(ask, 'alice')
    const laptop = await alice.make({ name: 'laptop', scopes: PUSH_TEAM })
    const lost = await alice.make({ name: 'lost' })
    const unused = await alice.make({ name: 'unused' })
    for (const token of [known, dies, ends, laptop, lost]) t.equal((await signIn(token)).statusCode, 200)
    await api.delete(dies.id)
    await alice.delete(lost.id)
    const revoked = async () =>
      (await askInternal({ url: '/internal/revocations', bearer: SERVICE_CREDENTIAL })).json().accounts
    await until(
      async () => dies.id in (await revoked()) && lost.id in (await revoked()),
      'the deleted tokens are in the revocation list',
    )

    await postgres.stop()
    // Until a poll fails, the revocation list confirms what was verified within the last minute.
    const isNoticed = async () =>
      (await askInternal({ url: '/readyz' })).json().parts.revocations.status !== 'ok'
    await until(isNoticed, 'a poll of the revocation list fails')
    clock.ahead = 10_000

    await t.test(
      'a registry token that signed in recently gets an access token only for pulls',
      async (t) => {
        const { token } = (await signIn(known)).json()
        t.strictSame(claimsOf(token).access, PULL)
        const json = { username: 'KNOWN', password: known.password, address: '10.0.0.1', access: PULL }
        const exchanged = await askInternal({
          method: 'POST',
          url: '/internal/token-exchanges',
          json,
          bearer: SERVICE_CREDENTIAL,
        })
        t.strictSame(claimsOf(exchanged.json().token).access, PULL)
        const identity = await ask({ url: '/auth/v2/token', as: known.as, password: known.password })
        t.strictSame(claimsOf(identity.json().token).access, [], 'there is no offline identity token')
        t.equal(
          claimsOf((await signIn(ends)).json().token).exp,
          expires,
          'an offline token does not outlive its registry token',
        )
      },
    )

    await t.test(
      'a personal token that signed in recently gets an access token only for pulls',
      async (t) => {
        t.match(claimsOf((await signIn(laptop)).json().token), {
          access: PULL,
          via: laptop.id,
          offline: true,
        })
        t.equal((await signIn(unused)).statusCode, 503, 'an uncached one cannot be verified')
        t.equal((await signIn(lost)).statusCode, 401, 'a deleted one is refused')
        const response = await alice.list()
        t.equal(response.statusCode, 503, 'its management needs the database')
      },
    )

    await t.test('an uncached registry token gets 503, a deleted or expired one 401', async (t) => {
      t.equal((await signIn(stranger)).statusCode, 503)
      t.equal((await signIn({ ...known, password: stranger.password })).statusCode, 503)
      t.equal((await signIn(dies)).statusCode, 401)
      t.equal(
        (await ask(question('known', `${known.password.slice(0, -1)}!`))).statusCode,
        503,
        'a malformed password may be a user’s',
      )
      clock.ahead = 600_000
      t.equal((await signIn(ends)).statusCode, 401, 'expired')
      clock.ahead = 10_000
    })

    await t.test('the management of registry tokens responds 503 in the format of its API', async (t) => {
      for (const response of [
        await api.list(),
        await api.get(known.id),
        await api.post({ name: 'new-one' }),
        await api.delete(known.id),
      ]) {
        t.equal(response.statusCode, 503)
        t.match(response.json(), {
          httpStatus: 503,
          messages: [{ errorCode: '0', message: 'the database is unavailable' }],
        })
      }
    })

    await t.test('after the grace of 15 minutes a cached registry token gets 503', async (t) => {
      clock.ahead = 930_000
      t.equal((await signIn(known)).statusCode, 503)
      clock.ahead = 0
    })

    await t.test('registry tokens have full access again once the database is back', async (t) => {
      await postgres.start()
      t.strictSame(claimsOf((await signIn(known)).json().token).access?.length, 2)
      t.equal((await signIn(stranger)).statusCode, 200)
      t.equal((await signIn(dies)).statusCode, 401)
    })
  },
)
