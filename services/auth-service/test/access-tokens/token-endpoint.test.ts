import t from 'tap'
import type { PrincipalAccessRequest } from '../../src/access-tokens/issue-access-token.ts'
import { createTokenEndpoint } from '../../src/access-tokens/token-endpoint.ts'
import type { TokenRequest } from '../../src/access-tokens/token-request.ts'
import type { Freshness, SignIn } from '../../src/sign-in/sign-in.ts'
import { makeAccount } from '../fixtures/accounts.ts'
import { makeToken } from '../fixtures/registry-tokens.ts'

const account = makeAccount()
const registryToken = makeToken()
const NOW = Date.parse('2027-03-01T12:00:00Z')
const user: SignIn = { outcome: 'account', account, offline: false }
const basic = { kind: 'basic', username: 'alice', password: 'x' } as const
const wanted: TokenRequest = {
  service: undefined,
  scopes: null,
  requestsRefreshToken: true,
  clientId: 'docker',
}

function build(signIn: SignIn = user, anonymousPull = false) {
  const calls = { requests: [] as PrincipalAccessRequest[], refreshTokens: 0, freshness: [] as Freshness[] }
  const endpoint = createTokenEndpoint({
    service: 'registry.example',
    anonymousPull,
    signIn: {
      async withPassword(_username, _password, _address, freshness) {
        calls.freshness.push(freshness)
        return signIn
      },
      withRefreshToken: async () => signIn,
      rememberRefreshToken: () => {},
    },
    findIdentity: async (token) =>
      token === 'identity' ? { principal: account, expiresAt: 1000 } : undefined,
    issuer: {
      async forPrincipal(request) {
        calls.requests.push(request)
        return { token: 'jwt', expiresIn: 300, issuedAt: '2026-11-21T00:00:00.000Z', access: null }
      },
    },
    now: () => NOW,
    refreshTokens: { issue: async () => `rmr_${(calls.refreshTokens += 1)}` },
  })
  return { endpoint, calls }
}

t.test('a user gets a refresh token on request', async (t) => {
  const { endpoint, calls } = build()
  t.match(await endpoint.withCredentials(wanted, basic, '10.0.0.1'), { refreshToken: 'rmr_1' })
  const without = await endpoint.withCredentials(
    { ...wanted, requestsRefreshToken: false },
    basic,
    '10.0.0.1',
  )
  t.notOk('refreshToken' in without)
  t.equal(calls.refreshTokens, 1)
})

t.test('the account is read from the database for refresh tokens and identity tokens only', async (t) => {
  const grant = { type: 'password', username: 'alice', password: 'x' } as const
  for (const requestsRefreshToken of [true, false]) {
    for (const scopes of [null, []]) {
      const { endpoint, calls } = build()
      await endpoint.withCredentials({ ...wanted, requestsRefreshToken, scopes }, basic, '10.0.0.1')
      await endpoint.withGrant({ ...wanted, requestsRefreshToken, scopes, grant }, '10.0.0.1')
      const expected = requestsRefreshToken || scopes === null ? 'current' : 'recent'
      t.strictSame(calls.freshness, [expected, expected])
    }
  }
})

t.test('a principal whose credentials are temporary gets no refresh token', async (t) => {
  const signIns: readonly SignIn[] = [
    { ...user, offline: true },
    { outcome: 'registry-token', registryToken, notAfter: undefined, offline: false },
    { outcome: 'registry-token', registryToken, notAfter: 1000, offline: false },
  ]
  for (const signIn of signIns) {
    const result = await build(signIn).endpoint.withCredentials(wanted, basic, '10.0.0.1')
    t.equal(result.outcome, 'issued')
    t.notOk('refreshToken' in result, JSON.stringify(signIn))
  }
  const { endpoint, calls } = build()
  const identity = await endpoint.withCredentials(wanted, { kind: 'bearer', token: 'identity' }, '10.0.0.1')
  t.notOk('refreshToken' in identity, 'an identity token')
  t.match(calls.requests, [{ notAfter: 1000 }], 'the access token ends with the identity token')
})

t.test(
  'only where anonymous pulls are allowed does a client without credentials get an access token',
  async (t) => {
    const none = { kind: 'none' } as const
    t.strictSame(await build().endpoint.withCredentials(wanted, none, '10.0.0.1'), {
      outcome: 'no-credentials',
    })
    const { endpoint, calls } = build(user, true)
    const result = await endpoint.withCredentials(wanted, none, '10.0.0.1')
    t.notOk('refreshToken' in result)
    t.match(calls.requests, [{ pullOnly: true, principal: { id: 'anonymous' } }])
    const malformed = await endpoint.withCredentials(wanted, { kind: 'malformed' }, '10.0.0.1')
    t.equal(malformed.outcome, 'no-credentials', 'a malformed header is not anonymous')
  },
)

t.test('a refresh token is returned again, and never yields an identity token', async (t) => {
  const { endpoint, calls } = build()
  const grant = { type: 'refresh_token', refreshToken: 'rmr_old' } as const
  const result = await endpoint.withGrant({ ...wanted, grant }, '10.0.0.1')
  t.match(result, { outcome: 'issued', refreshToken: 'rmr_old' })
  t.strictSame(calls.requests[0]?.scopes, [], 'no scope means no access, not an identity token')
  t.equal(calls.refreshTokens, 0)
})

t.test('the outcome of a failed sign-in or of a bad identity token is returned unchanged', async (t) => {
  const throttled: SignIn = { outcome: 'throttled', retryAfterSeconds: 5 }
  const { endpoint, calls } = build(throttled)
  t.strictSame(await endpoint.withCredentials(wanted, basic, '10.0.0.1'), throttled)
  const bearer = { kind: 'bearer', token: 'x' } as const
  const bad = await endpoint.withCredentials(wanted, bearer, '10.0.0.1')
  t.strictSame(bad, { outcome: 'bad-identity-token' })
  t.strictSame(calls.requests, [])
})
