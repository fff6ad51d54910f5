import type { Access } from '@registry-manager/oci'
import { repositoryAccess } from '@registry-manager/oci'
import t from 'tap'
import type { AuthenticatePorts, ExchangeResult } from '../src/authenticate.ts'
import { authenticate, describeThrottled } from '../src/authenticate.ts'
import { ANONYMOUS_UID } from '../src/principal.ts'
import type { TokenClaims } from '../src/token-verifier.ts'

const access: Access[] = [repositoryAccess('team/app', 'pull')]
const alice = { sub: 'alice', uid: 'uid-alice', gen: 2, access, exp: 0, jti: 'j' }
const requestPrincipal = { kind: 'user', id: 'uid-alice', name: 'alice' }
const principal = {
  outcome: 'principal',
  principal: { uid: 'uid-alice', access },
  token: 'good',
  requestPrincipal,
}
const INVALID = { outcome: 'refused', error: 'invalid_token' }

/** Fake ports with a few tokens by name; `forgotten` counts calls of `forget`. */
function createPorts(overrides: Partial<AuthenticatePorts> = {}, exchanges: ExchangeResult[] = []) {
  const tokens: Record<string, TokenClaims> = {
    good: alice,
    dead: { ...alice, gen: 1 },
    identity: { ...alice, access: null },
    service: { ...alice, sub: 'service:x', uid: undefined, gen: undefined },
    'without generation': { ...alice, gen: undefined },
    'of a registry token': { ...alice, kind: 'registry-token' },
    'of a personal token': { ...alice, kind: 'personal-token', via: 'id-laptop', via_name: 'laptop' },
    'of a deleted personal token': { ...alice, kind: 'personal-token', via: 'id-deleted', via_name: 'old' },
    anonymous: { ...alice, sub: '', uid: ANONYMOUS_UID },
  }
  const ports = {
    forgotten: 0,
    verifyToken: async (token: string) => tokens[token],
    isRevoked: (uid: string, generation: number) =>
      generation < ({ 'uid-alice': 2, 'id-deleted': 1 }[uid] ?? 0),
    exchange: async () => exchanges.shift() ?? { outcome: 'refused' as const },
    forget: () => void (ports.forgotten += 1),
    ...overrides,
  }
  return ports
}

const withBearer = (token: string, ports = createPorts()) =>
  authenticate(ports, { kind: 'bearer', token }, '192.0.2.1', access)
const withBasic = (ports: AuthenticatePorts) =>
  authenticate(ports, { kind: 'basic', username: 'alice', password: 'pw' }, '192.0.2.1', access)

t.test('missing and malformed credentials are refused without an error about a token', async (t) => {
  t.same(await authenticate(createPorts(), { kind: 'none' }, '', access), { outcome: 'refused' })
  t.same(await authenticate(createPorts(), { kind: 'malformed' }, '', access), { outcome: 'refused' })
})

t.test('a bearer token gives its principal, unless it is invalid or revoked', async (t) => {
  t.same(await withBearer('good'), principal)
  for (const token of ['dead', 'service', 'without generation', 'unknown', 'of a deleted personal token']) {
    t.same(await withBearer(token), INVALID, token)
  }
  const identity = { ...principal, principal: { uid: 'uid-alice', access: null }, token: 'identity' }
  t.same(await withBearer('identity'), identity, 'an identity token has no access')
  t.match(await withBearer('of a registry token'), {
    requestPrincipal: { kind: 'registry-token', name: 'alice' },
  })
  t.match(await withBearer('of a personal token'), {
    principal: { uid: 'uid-alice', via: 'id-laptop' },
    requestPrincipal: {
      kind: 'personal-token',
      id: 'uid-alice',
      name: 'alice',
      via: { id: 'id-laptop', name: 'laptop' },
    },
  })
  t.match(await withBearer('anonymous'), { requestPrincipal: { kind: 'anonymous', name: '' } })
  const offline = createPorts({ verifyToken: async () => ({ ...alice, offline: true }) })
  const marked = { ...principal, principal: { uid: 'uid-alice', access, offline: true } }
  t.same(await withBearer('good', offline), marked, 'an offline token is marked')
  const noFeed = createPorts({ isRevoked: () => undefined })
  t.same(await withBearer('good', noFeed), { outcome: 'unknown' }, 'the revocation list is not loaded')
})

t.test('Basic credentials are exchanged for a token', async (t) => {
  t.same(await withBasic(createPorts({}, [{ outcome: 'issued', token: 'good' }])), principal)
  t.same(await withBasic(createPorts()), { outcome: 'refused' })
  const throttled = { outcome: 'throttled', retryAfterSeconds: 7 } as const
  t.same(await withBasic(createPorts({}, [throttled])), throttled)
  const unavailable = { outcome: 'unavailable', dependency: 'directory' } as const
  t.same(await withBasic(createPorts({}, [unavailable])), unavailable, 'the directory is unavailable')
})

t.test('a revoked token from the cache is forgotten, and the credentials are exchanged again', async (t) => {
  const ports = createPorts({}, [
    { outcome: 'issued', token: 'dead' },
    { outcome: 'issued', token: 'good' },
  ])
  t.same(await withBasic(ports), principal)
  t.equal(ports.forgotten, 1)
})

t.test('a changed password is refused once its cached token is revoked', async (t) => {
  t.same(await withBasic(createPorts({}, [{ outcome: 'issued', token: 'dead' }])), { outcome: 'refused' })
})

t.test('an account whose new tokens are revoked is refused after the second exchange', async (t) => {
  const dead: ExchangeResult = { outcome: 'issued', token: 'dead' }
  t.same(await withBasic(createPorts({}, [dead, dead, dead])), INVALID)
})

t.test('access counts only for clients in its networks', async (t) => {
  const limited = { ...repositoryAccess('team/app', 'push'), networks: ['10.0.0.0/8'] }
  const held = [...access, limited]
  const ports = createPorts({ verifyToken: async () => ({ ...alice, access: held }) })
  const from = (address: string) => authenticate(ports, { kind: 'bearer', token: 'good' }, address, access)
  t.match(await from('192.0.2.1'), { principal: { access, elsewhere: [limited] } })
  t.match(await from('10.1.2.3'), { principal: { access: held, elsewhere: [] } })
  t.notOk('elsewhere' in ((await withBearer('good')) as { principal: object }).principal)
})

t.test('the message for throttled credentials names the time to wait', async (t) => {
  t.equal(describeThrottled(1), 'too many failed sign-ins; retry in 1 second')
  t.equal(describeThrottled(15), 'too many failed sign-ins; retry in 15 seconds')
})
