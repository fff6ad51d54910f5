import type { ServerResponse } from 'node:http'
import type { Test } from 'tap'
import t from 'tap'
import { connectProvider } from '../../../src/oidc/openid/connect-provider.ts'
import { InvalidResponse, ProviderUnavailable } from '../../../src/oidc/provider.ts'
import { startFakeIssuer } from '../../fixtures/fake-issuer.ts'

const CALLBACK = 'https://registry.example/oidc/corp/callback'
const ATTEMPT = { state: 'the-state', nonce: 'the-nonce', codeVerifier: 'v'.repeat(43) }
const TIMEOUT_MS = 300
const fake = await startFakeIssuer(t)
fake.claims = { sub: 's', preferred_username: 'jane' }
t.afterEach(() => fake.answers.clear())

/** A new connection each time: keys and metadata are cached. */
const connect = () =>
  connectProvider({ provider: fake.provider(), redirectUri: CALLBACK, now: Date.now, timeoutMs: TIMEOUT_MS })

type Answer = (response: ServerResponse) => void
const json = (response: ServerResponse) => response.writeHead(200, { 'content-type': 'application/json' })

/** Responses that make a provider unavailable. */
const FAILING: Readonly<Record<string, Answer>> = {
  'a response that never comes': () => {},
  'a response that never ends': (response) => void json(response).write('{'),
  'ten megabytes': (response) => void json(response).end(`{"x":"${'x'.repeat(10_000_000)}"}`),
  'ten megabytes without a length': (response) => {
    json(response)
    for (let count = 0; count < 100; count += 1) response.write('x'.repeat(100_000))
    response.end()
  },
  'an internal error': (response) => void response.writeHead(500).end('{}'),
  'a closed connection': (response) => void response.socket?.destroy(),
}
/** Responses that are not valid. */
const INVALID: Readonly<Record<string, Answer>> = {
  'no JSON': (response) => void json(response).end('<html>'),
  'a list': (response) => void json(response).end('[]'),
  'an empty body': (response) => void json(response).end(),
  'a redirect': (response) => void response.writeHead(302, { location: 'http://127.0.0.1:1/' }).end(),
}

const CASES = [
  ...Object.entries(FAILING).map(([name, answer]) => [name, answer, ProviderUnavailable] as const),
  ...Object.entries(INVALID).map(([name, answer]) => [name, answer, InvalidResponse] as const),
]
/** The error of a call that must fail within the deadline. */
const failureOf = async (t: Test, name: string, calling: Promise<unknown>) => {
  const startedAt = Date.now()
  const error = await calling.then(
    () => undefined,
    (failure: unknown) => failure,
  )
  t.ok(Date.now() - startedAt < 20 * TIMEOUT_MS, name)
  return error
}

for (const path of ['/.well-known/openid-configuration', '/jwks']) {
  t.test(
    `a logout token is refused within the deadline if ${path} hangs, floods or is not valid`,
    async (t) => {
      const token = await fake.sign(fake.logoutClaims({ sub: 's' }))
      for (const [name, answer, expected] of CASES) {
        fake.answers.set(path, (_request, response) => answer(response))
        const error = await failureOf(t, name, connect().verifyLogoutToken(token))
        t.ok(error instanceof expected, `${name}: ${String(error)}`)
      }
    },
  )
}

for (const path of ['/.well-known/openid-configuration', '/token', '/jwks', '/userinfo']) {
  t.test(`a sign-in ends within the deadline if ${path} hangs, floods or is not valid`, async (t) => {
    for (const [name, answer, expected] of CASES) {
      fake.answers.clear()
      // Without a username in the ID token, the UserInfo endpoint is asked.
      fake.claims = path === '/userinfo' ? { sub: 's' } : { sub: 's', preferred_username: 'jane', groups: [] }
      const provider = connect()
      const url = path.startsWith('/.well') ? undefined : await provider.authorizationUrl(ATTEMPT)
      fake.answers.set(path, (_request, response) => answer(response))
      const calling =
        url === undefined
          ? provider.authorizationUrl(ATTEMPT)
          : provider.claimsOf(new URL(`${CALLBACK}?${fake.authorize(url)}`), ATTEMPT)
      const error = await failureOf(t, name, calling)
      t.ok(error instanceof expected, `${name}: ${String(error)}`)
    }
  })
}

t.test('metadata of another issuer, or without the endpoints that are needed, are refused', async (t) => {
  const endpoints = {
    issuer: fake.issuer,
    authorization_endpoint: `${fake.issuer}/authorize`,
    token_endpoint: `${fake.issuer}/token`,
    jwks_uri: `${fake.issuer}/jwks`,
  }
  for (const change of [
    { issuer: 'https://evil.example' },
    { issuer: undefined },
    { authorization_endpoint: undefined },
    { authorization_endpoint: 'x' },
    { authorization_endpoint: 7 },
  ]) {
    fake.answers.set(
      '/.well-known/openid-configuration',
      (_request, response) => void json(response).end(JSON.stringify({ ...endpoints, ...change })),
    )
    await t.rejects(connect().authorizationUrl(ATTEMPT), InvalidResponse, JSON.stringify(change))
  }
})

t.test('the last metadata stay in use while the provider cannot be reached', async (t) => {
  let ahead = 0
  const now = () => Date.now() + ahead
  const provider = connectProvider({
    provider: fake.provider(),
    redirectUri: CALLBACK,
    now,
    timeoutMs: TIMEOUT_MS,
  })
  await provider.authorizationUrl(ATTEMPT)
  const read = () => fake.requests.filter((path) => path.startsWith('/.well-known')).length
  const before = read()
  await provider.authorizationUrl(ATTEMPT)
  t.equal(read(), before, 'they are read once an hour')
  ahead = 3_601_000
  fake.answers.set(
    '/.well-known/openid-configuration',
    (_request, response) => void response.socket?.destroy(),
  )
  t.match(await provider.authorizationUrl(ATTEMPT), `${fake.issuer}/authorize?`)
  t.equal(read(), before + 1)
})
