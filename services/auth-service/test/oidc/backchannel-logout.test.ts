import t from 'tap'
import { onBothDatabases } from '@registry-manager/testing/both-databases'
import { startAuthService } from '../fixtures/auth-service.ts'
import { openBrowser } from '../fixtures/browser.ts'
import { makeKey, pemOf, signedSymmetrically, startFakeIssuer, unsigned } from '../fixtures/fake-issuer.ts'

await onBothDatabases(t, async (t, db) => {
  const fake = await startFakeIssuer(t)
  const other = await startFakeIssuer(t)
  const oidcProviders = [fake.provider(), other.provider({ id: 'other' })]
  const { ask, users } = await startAuthService(t, db, { oidcProviders })
  const signIn = async (sub: string, sid?: string) => {
    fake.claims = { sub, preferred_username: sub, groups: [], sid }
    const browser = openBrowser(ask)
    const begun = await browser.open('/oidc/corp/sign-in')
    await browser.open(`/oidc/corp/callback?${fake.authorize(begun.headers.location ?? '')}`)
    return browser
  }
  const logOut = (logout_token: string) =>
    ask({ method: 'POST', url: '/oidc/corp/backchannel-logout', form: { logout_token } })
  const status = async (browser: ReturnType<typeof openBrowser>) => (await browser.open('/user')).statusCode

  t.test('a logout token for a person ends everything that was issued to the account', async (t) => {
    const [one, two] = [await signIn('jane'), await signIn('jane')]
    const bob = await signIn('bob')
    const before = (await users.find('jane'))?.generation ?? 0
    const response = await logOut(await fake.sign(fake.logoutClaims({ sub: 'jane' }), { typ: 'logout+jwt' }))
    t.match([response.statusCode, response.body], [200, '{}'])
    t.equal(response.headers['cache-control'], 'no-store')
    t.strictSame([await status(one), await status(two), await status(bob)], [401, 401, 200])
    const account = await users.find('jane')
    t.equal(account?.generation, before + 1, 'the generation, which access tokens carry')
    const revoked = await db
      .selectFrom('revocations')
      .select('least_generation')
      .where('account_id', '=', account?.id ?? '')
      .executeTakeFirst()
    t.strictSame(revoked, { least_generation: before + 1 }, 'every replica polls this list each second')
    const { items } = (await ask({ url: '/audit?account=jane&action=sessions.end', as: 'root' })).json()
    t.match(items, [{ principal: { name: 'auth-service' }, detail: { cause: 'provider' } }])
  })

  t.test(
    'a logout token for a session at the provider ends the sessions and tokens of its person',
    async (t) => {
      const [jane, bob] = [await signIn('jane', 'session-1'), await signIn('bob', 'session-2')]
      t.equal((await logOut(await fake.sign(fake.logoutClaims({ sid: 'session-1' })))).statusCode, 200)
      t.strictSame([await status(jane), await status(bob)], [401, 200])
    },
  )

  t.test('a logout token works once', async (t) => {
    await signIn('jane')
    const token = await fake.sign(fake.logoutClaims({ sub: 'jane' }))
    t.equal((await logOut(token)).statusCode, 200)
    const again = await signIn('jane')
    const replayed = await logOut(token)
    t.equal(replayed.statusCode, 400)
    t.strictSame(replayed.json(), {
      error: 'invalid_request',
      error_description: 'the logout token was used before',
    })
    t.equal(await status(again), 200)
  })

  t.test('a logout token of a person without an account ends nothing and is no error', async (t) => {
    t.equal((await logOut(await fake.sign(fake.logoutClaims({ sub: 'nobody' })))).statusCode, 200)
    t.equal((await logOut(await fake.sign(fake.logoutClaims({ sid: 'nothing' })))).statusCode, 200)
  })

  t.test('a logout token that is not valid ends nothing', async (t) => {
    const jane = await signIn('jane')
    const now = Math.floor(Date.now() / 1000)
    const claims = fake.logoutClaims({ sub: 'jane' })
    const cases: Record<string, Record<string, unknown>> = {
      'another issuer': { iss: 'https://evil.example' },
      'another audience': { aud: 'another-client' },
      'an expired token': { iat: now - 900, exp: now - 600 },
      'no expiry': { exp: undefined },
      'a life of a day': { exp: now + 86_400 },
      'no iat': { iat: undefined },
      'no jti': { jti: undefined },
      'a jti that is a number': { jti: 1 },
      'no event': { events: undefined },
      'another event': { events: { 'https://example.com/event': {} } },
      'an event that is a string': { events: { 'http://schemas.openid.net/event/backchannel-logout': 'x' } },
      'a nonce, as ID tokens have': { nonce: 'x' },
      'neither person nor session': { sub: undefined },
      'a subject that is a list': { sub: ['jane'] },
    }
    for (const [name, change] of Object.entries(cases)) {
      const response = await logOut(await fake.sign({ ...claims, ...change }))
      t.match([response.statusCode, response.json().error], [400, 'invalid_request'], name)
    }
    const texts = {
      'alg none': `${unsigned({ alg: 'none' }, claims)}.`,
      'the public key as a symmetric key': signedSymmetrically(pemOf(fake.key), claims),
      'the client secret as a symmetric key': signedSymmetrically(fake.provider().clientSecret ?? '', claims),
      'an unknown key': await fake.sign(claims, { by: await makeKey('key-9') }),
      'the key of somebody else': await fake.sign(claims, { by: await makeKey('key-1') }),
      'no JWT': 'x',
    }
    for (const [name, token] of Object.entries(texts)) t.equal((await logOut(token)).statusCode, 400, name)
    const without = await ask({ method: 'POST', url: '/oidc/corp/backchannel-logout', form: {} })
    t.equal(without.statusCode, 400)
    t.equal(await status(jane), 200)
  })

  t.test('a logout token is refused with 503 while the keys of the provider cannot be read', async (t) => {
    other.answers.set('/jwks', (_request, response) => void response.socket?.destroy())
    const form = { logout_token: await other.sign(other.logoutClaims({ sub: 'jane' })) }
    const request = { method: 'POST', url: '/oidc/other/backchannel-logout', form } as const
    const response = await ask(request)
    t.match(
      [response.statusCode, response.json()],
      [503, { error_description: /the OpenID Connect provider \S+ is unavailable; retry shortly/ }],
    )
    other.answers.clear()
    t.equal((await ask(request)).statusCode, 200, 'the provider may send it again')
  })

  t.test('a logout token for an unknown provider is 404', async (t) => {
    const form = { logout_token: 'x' }
    const response = await ask({ method: 'POST', url: '/oidc/nobody/backchannel-logout', form })
    t.match([response.statusCode, response.json().error], [404, 'invalid_request'])
  })
})
