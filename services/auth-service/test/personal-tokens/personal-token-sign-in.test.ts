import { randomInt } from 'node:crypto'
import t from 'tap'
import { createPersonalTokenSignIn } from '../../src/personal-tokens/personal-token-sign-in.ts'
import type { PersonalTokenPrincipal } from '../../src/principals/personal-token.ts'
import { hashSecret, isSameHash } from '../../src/principals/secret-hash.ts'
import { makeTokenSecret } from '../../src/principals/token-secret.ts'
import { createCredentialCache } from '../../src/sign-in/credential-cache.ts'
import type { Freshness } from '../../src/sign-in/sign-in.ts'
import { makePersonalToken } from '../fixtures/personal-tokens.ts'

class Unavailable extends Error {}

const REFUSED = { outcome: 'refused' }
const UNAVAILABLE = { outcome: 'unavailable', dependency: 'database' }
const ADDRESS = '10.0.0.1'
const { id: ALICE, via: LAPTOP } = makePersonalToken()
const make = () => makeTokenSecret('personal-token', randomInt)

/** Alice's personal token. */
function build(account: PersonalTokenPrincipal = makePersonalToken()) {
  const secret = make()
  const world = {
    now: 1_000_000,
    account: account as PersonalTokenPrincipal | undefined,
    /** The lowest valid generations. */
    least: {} as Record<string, number>,
    isListFresh: true,
    failure: undefined as Error | undefined,
    lookups: 0,
    uses: [] as string[],
  }
  const now = () => world.now
  const isRevoked = ({ id, generation }: { id: string; generation: number }) =>
    generation < (world.least[id] ?? 0)
  const method = createPersonalTokenSignIn({
    async findBySecret(hash) {
      if (world.failure !== undefined) throw world.failure
      world.lookups += 1
      return isSameHash(hash, hashSecret(secret)) ? world.account : undefined
    },
    isUnavailable: (error) => error instanceof Unavailable,
    isRevoked,
    isUnchanged: (one) => world.isListFresh && !isRevoked(one),
    cache: createCredentialCache({ key: Buffer.alloc(32, 1), now, maxAgeMs: 900_000, maxEntries: 100 }),
    noteUse: (id, address) => void world.uses.push(`${id} ${address}`),
    now,
  })
  return {
    world,
    secret,
    method,
    enter: (password = secret, name = 'alice', freshness: Freshness = 'recent') =>
      method.signIn(name, password, ADDRESS, freshness),
  }
}

const accepted = (account = makePersonalToken(), more: object = {}) => ({
  outcome: 'personal-token',
  account,
  notAfter: undefined,
  offline: false,
  ...more,
})

t.test('a personal token signs its owner in with a username in upper or lower case', async (t) => {
  const { world, enter } = build()
  for (const name of ['alice', 'Alice', 'ALICE']) t.strictSame(await enter(undefined, name), accepted(), name)
  t.strictSame(new Set(world.uses), new Set([`${LAPTOP.id} ${ADDRESS}`]), 'its last use is noted')
})

t.test('another password, another username and a disabled owner are refused', async (t) => {
  const { world, secret, enter } = build()
  t.strictSame(await enter(make()), REFUSED, 'another password')
  for (const name of ['bob', '', 'al\0ice', 'a'.repeat(5000)])
    t.strictSame(await enter(secret, name), REFUSED)
  world.account = makePersonalToken({ enabled: false })
  t.strictSame(await enter(), REFUSED, 'disabled')
  world.account = makePersonalToken()
  t.strictSame(await enter(), accepted(), 'a refusal is not cached')
  t.strictSame(await enter(secret, 'bob'), REFUSED, 'another username, although the password is cached')
  t.equal(world.uses.length, 1)
})

t.test('a wrong checksum is refused without a query', async (t) => {
  const { world, secret, enter } = build()
  t.strictSame(await enter(secret.slice(0, -1) + (secret.endsWith('x') ? 'y' : 'x')), REFUSED)
  t.equal(world.lookups, 0)
})

t.test('the method of personal tokens accepts only passwords of their form', async (t) => {
  const { method, secret } = build()
  t.equal(method.accepts('bob', secret), true, 'with any username')
  for (const password of ['a-password', 'rmp_short', '', makeTokenSecret('registry-token', randomInt)]) {
    t.equal(method.accepts('alice', password), false, password)
  }
})

t.test('a personal token is refused from the second of its expiry', async (t) => {
  const account = makePersonalToken({ via: { expiresAt: new Date(1_060_000) } })
  const { world, enter } = build(account)
  t.strictSame(await enter(), accepted(account, { notAfter: 1060 }))
  world.now = 1_059_999
  t.match(await enter(), { outcome: 'personal-token' })
  world.now = 1_060_000
  t.strictSame(await enter(), REFUSED, 'even though it is cached')
})

t.test('a verified personal token is cached for a minute while the revocation list is fresh', async (t) => {
  const { world, enter } = build()
  for (let request = 0; request < 50; request += 1) await enter()
  t.equal(world.lookups, 1)
  t.equal(world.uses.length, 50, 'every use is noted')
  world.now += 59_999
  await enter()
  t.equal(world.lookups, 1)
  world.now += 1
  await enter()
  t.equal(world.lookups, 2, 'looked up again after a minute')
  await enter(undefined, undefined, 'current')
  t.equal(world.lookups, 3, 'looked up for a request that is not for an access token')
  world.isListFresh = false
  await enter()
  t.equal(world.lookups, 4, 'looked up while the revocation list cannot be read')
})

t.test('a revocation of the owner or of the personal token overrides the cache at once', async (t) => {
  const changed = makePersonalToken({ generation: 2, namespaces: ['other'] })
  const { world, enter } = build()
  await enter()
  world.least[ALICE] = 2
  world.account = changed
  t.strictSame(await enter(), accepted(changed), "the owner's new rights")
  world.least[LAPTOP.id] = 1
  world.account = undefined
  t.strictSame(await enter(), REFUSED, 'the personal token was deleted')
})

t.test(
  'a cached personal token stays valid within the grace while the database is unavailable',
  async (t) => {
    const account = makePersonalToken({ via: { expiresAt: new Date(1_500_000) } })
    const { world, enter } = build(account)
    await enter()
    world.failure = new Unavailable()
    world.isListFresh = false
    world.now += 60_000
    t.strictSame(await enter(), accepted(account, { notAfter: 1500, offline: true }))
    t.equal(world.uses.length, 1, 'an offline use is not noted')
    t.strictSame(await enter(make()), UNAVAILABLE, 'an uncached password cannot be verified')
    for (const id of [ALICE, LAPTOP.id]) {
      world.least = { [id]: 2 }
      t.strictSame(await enter(), REFUSED, 'a revoked one is refused')
    }
    world.least = {}
    world.now = 1_500_000
    t.strictSame(await enter(), REFUSED, 'an expired one is refused')
    const late = build()
    await late.enter()
    late.world.failure = new Unavailable()
    late.world.now += 900_001
    t.strictSame(await late.enter(), UNAVAILABLE, 'after the grace it cannot be verified')
  },
)

t.test('an unexpected error during the sign-in with a personal token is thrown to the caller', async (t) => {
  const { world, enter } = build()
  world.failure = new Error('unexpected')
  await t.rejects(enter(), { message: 'unexpected' })
})
