import type { Access } from '@registry-manager/oci'
import t from 'tap'
import type { SignedClaims } from '../../src/access-tokens/claims.ts'
import { createAccessTokenIssuer } from '../../src/access-tokens/issue-access-token.ts'
import { MAX_ACCESS_TOKEN_LENGTH, fitAccess } from '../../src/access-tokens/access-token-length.ts'
import { makeAccount } from '../fixtures/accounts.ts'
import { makePersonalToken } from '../fixtures/personal-tokens.ts'

let issuedCount = 0
let now = 1_700_000_000_900
let keyId = 'one'
const issuer = createAccessTokenIssuer({
  newId: () => `id-${(issuedCount += 1)}`,
  issuer: 'registry.example',
  audience: 'registry.example',
  lifeSeconds: 300,
  sign: async (claims) => JSON.stringify(claims),
  currentKeyId: () => keyId,
  now: () => now,
  findGlobal: async (names) =>
    new Map(names.filter((name) => name.startsWith('shared/')).map((name) => [name, undefined])),
})
const claimsOf = ({ token }: { token: string }) => JSON.parse(token) as SignedClaims

const address = '192.0.2.7'
const account = makeAccount({ namespaces: ['team'], generation: 7 })
const scope = (name: string, ...actions: string[]): Access => ({ type: 'repository', name, actions })

t.test('an access token contains the granted access', async (t) => {
  const scopes = [scope('team/app', 'pull', 'push'), scope('other/app', 'pull')]
  const issued = await issuer.forPrincipal({ principal: account, address, scopes })
  t.match(issued, { expiresIn: 300, issuedAt: '2023-11-14T22:13:20.000Z' })
  t.strictSame(issued.access, [scope('team/app', 'pull', 'push')])
  t.match(claimsOf(issued), { sub: 'alice', uid: account.id, gen: 7, access: issued.access })
  t.equal(claimsOf(issued).exp, 1_700_000_300)
})

t.test('access is an empty list when nothing is granted, and null without a scope', async (t) => {
  t.strictSame(
    (await issuer.forPrincipal({ principal: account, address, scopes: [scope('other/app', 'pull')] })).access,
    [],
  )
  t.equal((await issuer.forPrincipal({ principal: account, address, scopes: null })).access, null)
})

t.test('an offline token permits only pulls', async (t) => {
  const scopes = [
    scope('team/app', 'pull', 'push', 'delete'),
    { type: 'registry', name: 'catalog', actions: ['*'] },
  ]
  const issued = await issuer.forPrincipal({ principal: account, address, scopes, offline: true })
  t.strictSame(issued.access, [scope('team/app', 'pull')])
  t.strictSame(claimsOf(issued).access, issued.access)
})

t.test('an offline token is marked as such and lives for a minute', async (t) => {
  const scopes = [scope('team/app', 'pull', 'push')]
  const offline = await issuer.forPrincipal({ principal: account, address, scopes, offline: true })
  t.equal(claimsOf(offline).offline, true)
  t.equal(offline.expiresIn, 60)
  const early = await issuer.forPrincipal({
    principal: account,
    address,
    scopes,
    offline: true,
    notAfter: 1_700_000_010,
  })
  t.equal(early.expiresIn, 10, 'notAfter shortens an offline token, too')
  const usual = await issuer.forPrincipal({ principal: account, address, scopes })
  t.notOk('offline' in claimsOf(usual), 'other access tokens have no offline claim')
})

t.test('there is no offline identity token', async (t) => {
  t.strictSame(
    (await issuer.forPrincipal({ principal: account, address, scopes: null, offline: true })).access,
    [],
  )
})

t.test('an access token expires no later than notAfter', async (t) => {
  const issued = await issuer.forPrincipal({
    principal: account,
    address,
    scopes: [],
    notAfter: 1_700_000_100,
  })
  t.equal(issued.expiresIn, 100)
  t.equal(claimsOf(issued).exp, 1_700_000_100)
})

t.test('a global repository is granted only for pulls', async (t) => {
  const scopes = [
    scope('shared/app', 'pull', 'push'),
    scope('shared/push', 'push'),
    scope('other/app', 'pull'),
  ]
  t.strictSame((await issuer.forPrincipal({ principal: account, address, scopes })).access, [
    scope('shared/app', 'pull'),
  ])
})

t.test('a personal token gets the access that its scopes permit as well', async (t) => {
  const requested = [
    scope('team/app', 'pull', 'push', 'delete'),
    scope('team/other', 'pull'),
    scope('shared/app', 'pull'),
    scope('lab/app', 'pull'),
    { type: 'registry', name: 'catalog', actions: ['*'] },
  ]
  const limits = [scope('team/app', 'push'), scope('lab/*', 'pull'), scope('shared/*', 'delete')]
  const accessOf = async (scopes: readonly Access[] | null) => {
    const owner = makePersonalToken({ namespaces: ['team'], generation: 7, via: { scopes } })
    return (await issuer.forPrincipal({ principal: owner, address, scopes: requested })).access
  }
  const catalog = { type: 'registry', name: 'catalog', actions: ['*'] }
  t.strictSame(await accessOf(limits), [scope('team/app', 'pull', 'push'), catalog])
  t.strictSame(await accessOf([scope('*', 'pull')]), [
    scope('team/app', 'pull'),
    scope('team/other', 'pull'),
    scope('shared/app', 'pull'),
    catalog,
  ])
  t.strictSame(
    await accessOf(null),
    (await issuer.forPrincipal({ principal: account, address, scopes: requested })).access,
  )
})

t.test('an access token is issued again for a moment, and no other token has its id', async (t) => {
  const issue = (changes: Partial<Parameters<typeof issuer.forPrincipal>[0]> = {}) =>
    issuer.forPrincipal({ principal: account, address, scopes: [], ...changes })
  const seen = new Set<string>()
  const isNew = ({ token }: { token: string }, what: string) => {
    t.notOk(seen.has(token), what)
    seen.add(token)
    t.equal(new Set([...seen].map((token) => claimsOf({ token }).jti)).size, seen.size, `${what}: a new id`)
  }
  const begun = now
  t.teardown(() => (now = begun))
  now += 60_000
  const first = await issue()
  isNew(first, 'the first token')
  now += 4000
  t.strictSame(
    await issue(),
    { ...first, expiresIn: 296 },
    'the same token, which ends when it would have ended',
  )
  isNew(await issue({ principal: { ...account, generation: 8 } }), 'after a change of the account')
  isNew(await issue({ principal: makeAccount({ username: 'bob', id: 'other' }) }), 'another account')
  isNew(await issue({ scopes: null }), 'other access')
  isNew(await issue({ scopes: [scope('team/app', 'pull')] }), 'more access')
  isNew(await issue({ notAfter: 1_700_000_200 }), 'an earlier end')
  isNew(await issue({ offline: true }), 'offline')
  keyId = 'two'
  isNew(await issue(), 'another signing key')
  keyId = 'one'
  t.strictSame((await issue()).token, first.token, 'the first one is still issued')
  now += 1000
  isNew(await issue(), 'after 5 seconds')
  now -= 10_000
  isNew(await issue(), 'after the clock was set back')
})

t.test('a failed signature is not cached', async (t) => {
  let failing = true
  const sign = async () => (failing ? Promise.reject(new Error('no key')) : 'token')
  const options = { issuer: 'i', audience: 'a', lifeSeconds: 300, now: () => 0, newId: () => 'id' }
  const findGlobal = async () => new Map()
  const failingIssuer = createAccessTokenIssuer({ ...options, sign, currentKeyId: () => 'one', findGlobal })
  await t.rejects(failingIssuer.forService('image-manager', []), { message: 'no key' })
  failing = false
  t.equal((await failingIssuer.forService('image-manager', [])).token, 'token')
})

t.test(
  "a service's access token has a subject that no user can have, and exactly the requested access",
  async (t) => {
    const access = [scope('any/thing', 'pull', 'delete')]
    const claims = claimsOf(await issuer.forService('image-manager', access))
    t.match(claims, { sub: 'service:image-manager', uid: undefined, gen: undefined })
    t.strictSame(claims.access, access)
  },
)

t.test('an access token that would be too long contains the first entries that fit', async (t) => {
  const long = (at: number) => scope(`team/${String(at).padStart(250, 'x')}`, 'pull')
  const scopes = Array.from({ length: 100 }, (_, at) => long(at))
  const issued = await issuer.forPrincipal({ principal: account, address, scopes })
  t.ok(issued.token.length <= MAX_ACCESS_TOKEN_LENGTH, `${issued.token.length}`)
  const count = issued.access?.length ?? 0
  t.ok(count > 10 && count < 100, `${count}`)
  t.strictSame(issued.access, scopes.slice(0, count))
  t.strictSame(claimsOf(issued).access, issued.access)
})

t.test('fewer entries fit when the other claims are longer', async (t) => {
  const access = Array.from({ length: 300 }, (_, at) => scope(`team/${at}`, 'pull'))
  const [short, long] = [fitAccess(access, 1000).length, fitAccess(access, 5000).length]
  t.ok(short > long && long > 0)
  t.strictSame(fitAccess(access, MAX_ACCESS_TOKEN_LENGTH), [])
})
