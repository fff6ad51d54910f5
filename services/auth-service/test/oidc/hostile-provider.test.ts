import { setTimeout as sleep } from 'node:timers/promises'
import t from 'tap'
import { pgliteForTest } from '@registry-manager/testing/pglite'
import { startAuthService } from '../fixtures/auth-service.ts'
import { SESSION_COOKIE, openBrowser } from '../fixtures/browser.ts'
import {
  CLIENT_ID,
  makeKey,
  pemOf,
  signedSymmetrically,
  startFakeIssuer,
  unsigned,
} from '../fixtures/fake-issuer.ts'

const fake = await startFakeIssuer(t)
const { ask, clock, db, lines } = await startAuthService(t, await pgliteForTest(t), {
  oidcProviders: [fake.provider()],
})
const PERSON = { sub: 'subject-of-eve', preferred_username: 'eve', groups: [] }
t.beforeEach(() => {
  fake.answers.clear()
  fake.claims = PERSON
  clock.ahead = 0
})

const begin = async (browser = openBrowser(ask)) => {
  const begun = await browser.open('/oidc/corp/sign-in')
  const url = new URL(begun.headers.location ?? 'http://no.location')
  return { browser, query: fake.authorize(url.href), nonce: url.searchParams.get('nonce') ?? '' }
}
type Browser = ReturnType<typeof openBrowser>
const finish = (browser: Browser, query: URLSearchParams | string) =>
  browser.open(`/oidc/corp/callback?${query}`)

/** Signs in with an ID token that the test makes. */
const signInWith = async (makeIdToken: (nonce: string) => Promise<string> | string) => {
  const { browser, query, nonce } = await begin()
  const idToken = await makeIdToken(nonce)
  fake.answers.set('/token', (_request, response) => {
    response.writeHead(200, { 'content-type': 'application/json' })
    response.end(JSON.stringify({ access_token: 'x', token_type: 'Bearer', id_token: idToken }))
  })
  return finish(browser, query)
}
const now = () => Math.floor(Date.now() / 1000)

t.test('an ID token with a wrong claim begins no session', async (t) => {
  const cases: Record<string, Record<string, unknown>> = {
    'another audience': { aud: 'another-client' },
    'several audiences without azp': { aud: [CLIENT_ID, 'another-client'] },
    'no audience': { aud: undefined },
    'another issuer': { iss: 'https://evil.example' },
    'no issuer': { iss: undefined },
    'an expired token': { iat: now() - 900, exp: now() - 600 },
    'no expiry': { exp: undefined },
    'an expiry that is a string': { exp: '9999999999' },
    'another nonce': { nonce: 'another' },
    'no nonce': { nonce: undefined },
    'a token from the future': { nbf: now() + 3600 },
    'no subject': { sub: undefined },
    'a subject that is a number': { sub: 7 },
    'an empty subject': { sub: '' },
    'a subject with NUL': { sub: 'a\0b' },
    'a long subject': { sub: 'x'.repeat(256) },
    'no username': { preferred_username: undefined },
    'a username that is a list': { preferred_username: ['eve'] },
    'a username that is an object': { preferred_username: { toLowerCase: 'eve' } },
    'a username with a slash': { preferred_username: 'team/eve' },
    'a username with a colon': { preferred_username: 'service:eve' },
    'an empty username': { preferred_username: '' },
    'groups that are a string': { groups: 'admins' },
    'groups with a number': { groups: ['a', 1] },
    'groups that are an object': { groups: { a: true } },
    'too many groups': { groups: Array.from({ length: 1001 }, (_, at) => `g${at}`) },
    'a session that is a number': { sid: 1 },
  }
  for (const [name, change] of Object.entries(cases)) {
    const response = await signInWith((nonce) =>
      fake.sign(fake.idTokenClaims(nonce, { ...PERSON, ...change })),
    )
    t.equal(response.statusCode, 403, name)
    t.match(response.body, /class="message"/, name)
    t.notMatch(String(response.headers['set-cookie']), SESSION_COOKIE, name)
  }
  t.strictSame(await db.selectFrom('accounts').select('id').where('username', '=', 'eve').execute(), [])
})

t.test('an ID token without the signature of the provider begins no session', async (t) => {
  const stranger = await makeKey('key-1')
  const cases: Record<string, (claims: Record<string, unknown>) => Promise<string> | string> = {
    'alg none': (claims) => `${unsigned({ alg: 'none', typ: 'JWT' }, claims)}.`,
    'alg None': (claims) => `${unsigned({ alg: 'None', typ: 'JWT' }, claims)}.`,
    'the public key as a symmetric key': (claims) => signedSymmetrically(pemOf(fake.key), claims),
    'the client secret as a symmetric key': (claims) =>
      signedSymmetrically(fake.provider().clientSecret ?? '', claims),
    'the key of somebody else under the same id': (claims) => fake.sign(claims, { by: stranger }),
    'an unknown key': async (claims) => fake.sign(claims, { by: await makeKey('key-9') }),
    'a key in the header': async (claims) => {
      const signed = await fake.sign(claims, { by: stranger })
      const [, payload, signature] = signed.split('.')
      const header = { alg: 'RS256', jwk: stranger.jwk, kid: 'key-1' }
      return `${Buffer.from(JSON.stringify(header)).toString('base64url')}.${payload}.${signature}`
    },
    'changed claims': async (claims) => {
      const [header, , signature] = (await fake.sign(claims)).split('.')
      const payload = Buffer.from(JSON.stringify({ ...claims, preferred_username: 'root' })).toString(
        'base64url',
      )
      return `${header}.${payload}.${signature}`
    },
    'no JWT': () => 'x',
    'an empty string': () => '',
  }
  for (const [name, make] of Object.entries(cases)) {
    const response = await signInWith((nonce) => make(fake.idTokenClaims(nonce, PERSON)))
    t.equal(response.statusCode, 403, name)
    t.notMatch(String(response.headers['set-cookie']), SESSION_COOKIE, name)
  }
  t.strictSame(await db.selectFrom('accounts').select('id').where('username', '=', 'eve').execute(), [])
})

t.test('a state works once, in the browser that began the sign-in, for ten minutes', async (t) => {
  const first = await begin()
  const other = openBrowser(ask)
  t.equal((await finish(other, first.query)).statusCode, 403, 'a browser without the cookie')
  await other.open('/oidc/corp/sign-in')
  t.equal((await finish(other, first.query)).statusCode, 403, 'a browser with another cookie')
  t.equal((await finish(first.browser, first.query)).statusCode, 303)
  const replayed = await finish(first.browser, first.query)
  t.match(
    [replayed.statusCode, replayed.body],
    [403, /has expired, was used already or was begun in another browser/],
  )

  const late = await begin()
  clock.ahead = 601_000
  t.equal((await finish(late.browser, late.query)).statusCode, 403, 'after ten minutes')
  clock.ahead = 0
  for (const query of ['', 'state=x&code=y', 'code=y', `state=${'x'.repeat(5000)}`, 'state=%00']) {
    t.equal((await finish((await begin()).browser, query)).statusCode, 403, query.slice(0, 20))
  }
})

t.test('a code works once, and not for the sign-in of another browser', async (t) => {
  const [eve, victim] = [await begin(), await begin()]
  const code = eve.query.get('code') ?? ''
  victim.query.set('code', code)
  const injected = await finish(victim.browser, victim.query)
  t.equal(injected.statusCode, 403, 'the PKCE verifier belongs to another code')
  t.match(injected.body, 'The response of Example Corp is not valid')
  const again = await begin()
  again.query.set('code', code)
  t.equal((await finish(again.browser, again.query)).statusCode, 403, 'the code was used')
})

t.test('a response in the name of another issuer is refused', async (t) => {
  for (const iss of ['https://evil.example', '', undefined]) {
    const { browser, query } = await begin()
    if (iss === undefined) query.delete('iss')
    else query.set('iss', iss)
    const before = fake.requests.length
    t.equal((await finish(browser, query)).statusCode, 403, String(iss))
    t.notOk(fake.requests.slice(before).includes('/token'), 'the code is not sent')
  }
})

t.test('an error of the provider is shown in plain words, without its text', async (t) => {
  for (const [error, words] of [
    ['access_denied', 'Example Corp has refused the sign-in.'],
    ['server_error', 'is not valid (server_error)'],
    ['<script>alert(1)</script>', 'The response of Example Corp is not valid. Please'],
  ] as const) {
    const { browser, query } = await begin()
    query.delete('code')
    query.set('error', error)
    query.set('error_description', '<b>call 555-1234</b>')
    const { statusCode, body } = await finish(browser, query)
    t.equal(statusCode, 403)
    t.ok(body.includes(words), body)
    t.notMatch(body, /<script|555-1234/)
  }
})

t.test(
  'a page says that a provider is unavailable, at the beginning and at the end of a sign-in',
  async (t) => {
    const { browser, query } = await begin()
    fake.answers.set('/token', (_request, response) => void response.socket?.destroy())
    const ended = await finish(browser, query)
    t.match([ended.statusCode, ended.body], [503, /Example Corp is unavailable/])
    t.notMatch(String(ended.headers['set-cookie']), SESSION_COOKIE)
    clock.ahead = 3_601_000
    fake.answers.set(
      '/.well-known/openid-configuration',
      (_request, response) =>
        void response
          .writeHead(200, { 'content-type': 'application/json' })
          .end('{"issuer":"https://evil.example"}'),
    )
    const begun = await openBrowser(ask).open('/oidc/corp/sign-in')
    t.match([begun.statusCode, begun.body], [503, /Example Corp is unavailable/])
    t.notOk(begun.headers.location)
  },
)

t.test('a return_to of another host is ignored', async (t) => {
  for (const foreign of ['https://evil.example', '//evil.example', '/\\evil.example', '/.//evil.example']) {
    const browser = openBrowser(ask)
    const begun = await browser.open(`/oidc/corp/sign-in?return_to=${encodeURIComponent(foreign)}`)
    const response = await finish(browser, fake.authorize(begun.headers.location ?? ''))
    t.equal(response.headers.location, '/sign-in', foreign)
  }
})

t.test('an unknown provider is 404, and the logs have no code, state or token', async (t) => {
  t.equal((await ask({ url: '/oidc/nobody/sign-in' })).statusCode, 404)
  t.equal((await ask({ url: '/oidc/nobody/callback?state=x&code=y' })).statusCode, 404)
  const { browser, query } = await begin()
  fake.answers.set(
    '/token',
    (_request, response) => void response.writeHead(400).end('{"error":"invalid_grant"}'),
  )
  await finish(browser, query)
  await sleep(10)
  const log = lines.join('\n')
  for (const secret of [
    query.get('code'),
    query.get('state'),
    'an-access-token',
    fake.provider().clientSecret,
  ]) {
    t.notMatch(log, secret ?? 'none', 'a secret in the log')
  }
})
