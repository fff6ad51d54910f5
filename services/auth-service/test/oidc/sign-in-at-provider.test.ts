import t from 'tap'
import { onBothDatabases } from '@registry-manager/testing/both-databases'
import { SERVICE, startAuthService } from '../fixtures/auth-service.ts'
import { openBrowser } from '../fixtures/browser.ts'
import { makeKey, startFakeIssuer } from '../fixtures/fake-issuer.ts'

const CALLBACK = `https://${SERVICE}/oidc/corp/callback`

await onBothDatabases(t, async (t, db) => {
  const fake = await startFakeIssuer(t)
  const oidcProviders = [
    fake.provider(),
    fake.provider({ id: 'members', label: 'Members', createAccounts: ['registry-users'] }),
    fake.provider({ id: 'closed', label: 'Closed', createAccounts: false }),
  ]
  const { ask, clock, users } = await startAuthService(t, db, { oidcProviders })
  t.beforeEach(() => {
    fake.answers.clear()
    fake.userinfo = {}
    clock.ahead = 0
  })

  /** A person signs in at a provider with a new browser. */
  const signIn = async (claims: Record<string, unknown>, id = 'corp', returnTo = '') => {
    fake.claims = { groups: [], ...claims }
    const browser = openBrowser(ask)
    const begun = await browser.open(`/oidc/${id}/sign-in?return_to=${encodeURIComponent(returnTo)}`)
    const query = fake.authorize(begun.headers.location ?? '')
    return { browser, begun, query, response: await browser.open(`/oidc/${id}/callback?${query}`) }
  }

  t.test('a person signs in at a provider with PKCE, state and nonce, and gets an account', async (t) => {
    const claims = { sub: 'subject-of-jane', preferred_username: 'Jane', groups: ['b', 'a', 'b'] }
    const { browser, begun, response } = await signIn(claims, 'corp', '/docs/auth')
    const url = new URL(begun.headers.location ?? '')
    t.match(Object.fromEntries(url.searchParams), {
      client_id: 'registry-manager',
      response_type: 'code',
      redirect_uri: CALLBACK,
      scope: 'openid profile',
      code_challenge_method: 'S256',
      code_challenge: /^[\w-]{43}$/,
      state: /^[\w-]{43}$/,
      nonce: /^[\w-]{43}$/,
    })
    t.match(
      begun.headers['set-cookie'],
      /^__Host-registry-manager-sign-in=.*HttpOnly; SameSite=Lax; Secure; Max-Age=600$/,
    )
    t.match([response.statusCode, response.headers.location], [303, '/docs/auth'])
    const user = (await browser.open('/user')).json()
    t.match(user, { username: 'jane', ad: false, provider: 'corp', role: 'user', namespaces: [] })
    const { items } = (await ask({ url: '/audit?account=jane', as: 'root' })).json()
    t.match(items, [
      { action: 'sign-in', outcome: 'done', detail: { by: 'provider', provider: 'corp' } },
      {
        action: 'user.create',
        principal: { name: 'auth-service' },
        detail: { provider: 'corp', cause: 'provider' },
      },
    ])
  })

  t.test(
    'the subject identifies a person: another username at the provider is the same account',
    async (t) => {
      const { browser } = await signIn({ sub: 'subject-of-jane', preferred_username: 'jane.doe' })
      t.match((await browser.open('/user')).json(), { username: 'jane' })
      const { response } = await signIn({ sub: 'another-subject', preferred_username: 'jane' })
      t.equal(response.statusCode, 403, 'somebody else with the username of Jane')
      t.match(response.body, 'The username jane belongs to another account.')
    },
  )

  t.test('an account with a password or of the directory is never taken over', async (t) => {
    for (const username of ['alice', 'root']) {
      const { browser, response } = await signIn({ sub: `new-${username}`, preferred_username: username })
      t.equal(response.statusCode, 403)
      t.match(response.body, `The username ${username} belongs to another account.`)
      t.equal((await browser.open('/user')).statusCode, 401)
    }
    const { response } = await signIn({ sub: 'subject-of-jane', preferred_username: 'jane' }, 'closed')
    t.equal(response.statusCode, 403, 'an account of another provider with the same issuer')
  })

  t.test('createAccounts decides who gets an account at the first sign-in', async (t) => {
    const refused = await signIn({ sub: 'm1', preferred_username: 'mia', groups: ['others'] }, 'members')
    t.match([refused.response.statusCode, refused.response.body], [403, /There is no account mia yet\./])
    const member = await signIn(
      { sub: 'm1', preferred_username: 'mia', groups: ['registry-users'] },
      'members',
    )
    t.equal(member.response.statusCode, 303)
    const closed = await signIn({ sub: 'c1', preferred_username: 'carl' }, 'closed')
    t.equal(closed.response.statusCode, 403)
    const json = { username: 'carl', provider: 'closed', namespaces: ['team'] }
    t.equal((await ask({ method: 'POST', url: '/user', json, as: 'root' })).statusCode, 201)
    const { browser } = await signIn({ sub: 'c1', preferred_username: 'carl' }, 'closed')
    t.match((await browser.open('/user')).json(), { username: 'carl', namespaces: ['team'] })
    const second = await signIn({ sub: 'c2', preferred_username: 'carl' }, 'closed')
    t.equal(second.response.statusCode, 403, 'the account is linked to the first person')
  })

  t.test('groups of the provider make the person a member of the groups that map them', async (t) => {
    const json = { name: 'developers', mappings: [{ provider: 'corp', group: 'devs' }] }
    const created = await ask({ method: 'POST', url: '/groups', json, as: 'root' })
    t.equal(created.statusCode, 201, created.body)
    const members = async () =>
      (await ask({ url: '/groups/developers/members', as: 'root' }))
        .json()
        .items.map(({ username }: { username: string }) => username)
    const person = { sub: 'g1', preferred_username: 'gina' }
    const { browser } = await signIn({ ...person, groups: ['devs', 'others'] })
    t.equal((await browser.open('/user')).statusCode, 200, 'the session has the new generation')
    t.strictSame(await members(), ['gina'])
    await signIn({ ...person, groups: ['others'] })
    t.strictSame(await members(), [])
    t.equal((await browser.open('/user')).statusCode, 200, 'the session goes on with the other rights')
  })

  t.test('a disabled account is refused, and its sessions end', async (t) => {
    const claims = { sub: 'd1', preferred_username: 'dora' }
    const { browser } = await signIn(claims)
    await users.change('dora', { enabled: false })
    t.equal((await browser.open('/user')).statusCode, 401)
    const { response } = await signIn(claims)
    t.match([response.statusCode, response.body], [403, /The account dora is disabled\./])
  })

  t.test(
    'a user of a provider has no password, until an administrator makes the account a local one',
    async (t) => {
      await signIn({ sub: 'e1', preferred_username: 'emil' })
      const as = { as: 'emil', password: 'a-good-password' }
      const change = (json: object) =>
        ask({ method: 'PATCH', url: '/user', json: { username: 'emil', ...json }, as: 'root' })
      t.equal((await ask({ url: '/user', ...as })).statusCode, 401)
      const form = { username: 'emil', password: as.password }
      const password = { method: 'POST', url: '/user/password', form, as: 'root' } as const
      t.match((await ask(password)).json(), { status: 409, detail: /has no password here/ })
      t.match((await change({ provider: 'nobody' })).json(), { status: 400, field: 'provider' })
      t.match((await change({ provider: 'corp', ad: true })).json(), { status: 400, field: 'provider' })
      t.match((await change({ provider: '' })).json(), { status: 400, field: 'password' })
      const local = await change({ provider: '', password: as.password })
      t.equal(local.statusCode, 200)
      t.notOk('provider' in local.json())
      t.equal((await ask({ url: '/user', ...as })).statusCode, 200)
      const { response } = await signIn({ sub: 'e1', preferred_username: 'emil' })
      t.equal(response.statusCode, 403, 'the account does not belong to the provider any more')
      t.equal((await change({ provider: 'corp' })).statusCode, 200)
      t.equal((await ask({ url: '/user', ...as })).statusCode, 401)
      t.equal((await signIn({ sub: 'e1', preferred_username: 'emil' })).response.statusCode, 303)
    },
  )

  t.test('claims that the ID token lacks come from the UserInfo endpoint', async (t) => {
    fake.userinfo = { sub: 'u1', preferred_username: 'uma', groups: [] }
    const { browser } = await signIn({ sub: 'u1', groups: undefined })
    t.match((await browser.open('/user')).json(), { username: 'uma' })
    fake.userinfo = { sub: 'somebody-else', preferred_username: 'root', groups: [] }
    t.equal(
      (await signIn({ sub: 'u2', groups: undefined })).response.statusCode,
      403,
      'the response is about another person',
    )
  })

  t.test('a user of a provider is deleted with the link, and may get a new account', async (t) => {
    const claims = { sub: 'x1', preferred_username: 'xena' }
    await signIn(claims)
    const first = await users.find('xena')
    await users.delete('xena')
    t.equal((await signIn(claims)).response.statusCode, 303)
    t.not((await users.find('xena'))?.id, first?.id)
  })

  t.test('keys that the provider has rotated are found after an hour at the latest', async (t) => {
    const { key, keys } = fake
    t.teardown(() => Object.assign(fake, { key, keys }))
    const next = await makeKey('key-2')
    Object.assign(fake, { key: next, keys: [next.jwk] })
    clock.ahead = 3_601_000
    const { response } = await signIn({ sub: 'k1', preferred_username: 'kim', groups: [] })
    t.equal(response.statusCode, 303)
  })
})
