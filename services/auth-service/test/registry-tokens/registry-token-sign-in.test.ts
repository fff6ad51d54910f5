import { randomInt } from 'node:crypto'
import t from 'tap'
import type { StoredRegistryToken, StoredSecret } from '../../src/principals/registry-token.ts'
import { hashSecret } from '../../src/principals/secret-hash.ts'
import { makeTokenSecret } from '../../src/principals/token-secret.ts'
import { createRegistryTokenSignIn } from '../../src/registry-tokens/registry-token-sign-in.ts'
import { createCredentialCache } from '../../src/sign-in/credential-cache.ts'
import type { Freshness } from '../../src/sign-in/sign-in.ts'
import { makeToken } from '../fixtures/registry-tokens.ts'

class Unavailable extends Error {}

const REFUSED = { outcome: 'refused' }
const ADDRESS = '10.0.0.1'
const stored = (secret: string, until: Date | null = null): StoredSecret => ({
  hash: hashSecret(secret),
  until,
})

/** A registry token with the name CI. */
function build(change: Partial<StoredRegistryToken> = {}) {
  const secret = makeTokenSecret('registry-token', randomInt)
  const world = {
    now: 1_000_000,
    token: { ...makeToken(), secrets: [stored(secret)], ...change } as StoredRegistryToken | undefined,
    least: 0,
    isListFresh: true,
    failure: undefined as Error | undefined,
    lookups: [] as string[],
    uses: [] as string[],
  }
  const now = () => world.now
  const method = createRegistryTokenSignIn({
    findRegistryToken: async (username) => {
      if (world.failure !== undefined) throw world.failure
      world.lookups.push(username)
      return username === 'ci' ? world.token : undefined
    },
    isUnavailable: (error) => error instanceof Unavailable,
    isRevoked: ({ generation }) => generation < world.least,
    isUnchanged: ({ generation }) => world.isListFresh && generation >= world.least,
    cache: createCredentialCache({ key: Buffer.alloc(32, 1), now, maxAgeMs: 900_000, maxEntries: 100 }),
    noteUse: (id, address) => void world.uses.push(`${id} ${address}`),
    now,
  })
  return {
    world,
    secret,
    method,
    enter: (password = secret, name = 'CI', freshness: Freshness = 'recent') =>
      method.signIn(name, password, ADDRESS, freshness),
  }
}

const accepted = (registryToken = makeToken(), more: object = {}) => ({
  outcome: 'registry-token',
  registryToken,
  notAfter: undefined,
  offline: false,
  ...more,
})

t.test('a registry token signs in with its password and its name in upper or lower case', async (t) => {
  const { world, enter } = build()
  for (const name of ['CI', 'ci', 'Ci']) t.strictSame(await enter(undefined, name), accepted(), name)
  t.strictSame(new Set(world.uses), new Set([`${makeToken().id} ${ADDRESS}`]), 'its last use is noted')
  t.notOk(JSON.stringify(await enter()).includes('hash'), 'the result has no hash of the password')
})

t.test('a wrong password, a wrong name and a disabled registry token are refused', async (t) => {
  const { world, secret, enter } = build()
  t.strictSame(await enter(makeTokenSecret('registry-token', randomInt)), REFUSED, 'another password')
  t.strictSame(await enter(secret, 'other'), REFUSED, 'another name')
  world.token = { ...world.token!, enabled: false }
  t.strictSame(await enter(), REFUSED, 'disabled')
  t.strictSame(world.uses, [])
})

t.test('a wrong checksum or an impossible name is refused without a query', async (t) => {
  const { world, secret, enter } = build()
  for (const name of ['', 'x'.repeat(64), 'c\0i', 'c_i', 'ci\n'])
    t.strictSame(await enter(secret, name), REFUSED)
  const wrong = secret.slice(0, -1) + (secret.endsWith('x') ? 'y' : 'x')
  t.strictSame(await enter(wrong), REFUSED)
  t.strictSame(world.lookups, [])
})

t.test('the method of registry tokens accepts only passwords of their form', async (t) => {
  const { method, secret } = build()
  t.equal(method.accepts('ci', secret), true)
  t.equal(method.accepts('alice', secret), true, 'with any username')
  for (const password of ['a-password', 'rmt_short', '']) t.equal(method.accepts('ci', password), false)
})

t.test('wrong passwords do not lock the right one out', async (t) => {
  const { enter } = build()
  for (let attempt = 0; attempt < 100; attempt += 1) await enter(makeTokenSecret('registry-token', randomInt))
  t.strictSame(await enter(), accepted())
})

t.test('a registry token is refused from the second of its expiry', async (t) => {
  const expiresAt = new Date(1_060_000)
  const { world, enter } = build({ expiresAt })
  t.strictSame(await enter(), accepted(makeToken({ expiresAt }), { notAfter: 1060 }))
  world.now = 1_059_999
  t.match(await enter(), { outcome: 'registry-token' })
  world.now = 1_060_000
  t.strictSame(await enter(), REFUSED, 'even though it is cached')
})

t.test('after a rotation both passwords work until the overlap ends', async (t) => {
  const { world, secret, enter } = build()
  const next = makeTokenSecret('registry-token', randomInt)
  world.token = { ...world.token!, secrets: [stored(next), stored(secret, new Date(1_060_000))] }
  t.match(await enter(next), { outcome: 'registry-token', notAfter: undefined })
  t.match(
    await enter(secret),
    { outcome: 'registry-token', notAfter: 1060 },
    'access tokens end with the old password',
  )
  world.now = 1_060_000
  t.strictSame(await enter(secret), REFUSED)
  t.match(await enter(next), { outcome: 'registry-token' })
  world.token = {
    ...world.token!,
    expiresAt: new Date(1_090_000),
    secrets: [stored(next, new Date(1_095_000))],
  }
  world.now = 1_070_000
  world.isListFresh = false
  t.match(await enter(next), { notAfter: 1090 }, 'the earlier expiry counts')
})

t.test('a verified password is cached for a minute while the revocation list is fresh', async (t) => {
  const { world, enter } = build()
  for (let request = 0; request < 50; request += 1) await enter()
  t.equal(world.lookups.length, 1)
  t.equal(world.uses.length, 50, 'every use is noted')
  world.now += 59_999
  await enter()
  t.equal(world.lookups.length, 1)
  world.now += 1
  await enter()
  t.equal(world.lookups.length, 2, 'looked up again after a minute')
  await enter(undefined, undefined, 'current')
  t.equal(world.lookups.length, 3, 'looked up for a request that is not for an access token')
  world.isListFresh = false
  await enter()
  t.equal(world.lookups.length, 4, 'looked up while the revocation list cannot be read')
})

t.test('a revocation overrides a cached password at once', async (t) => {
  const { world, enter } = build()
  await enter()
  world.least = 2
  world.token = undefined
  t.strictSame(await enter(), REFUSED, 'deleted')
  const other = build()
  await other.enter()
  other.world.least = 2
  other.world.token = { ...other.world.token!, generation: 2 }
  t.match(await other.enter(), { outcome: 'registry-token', registryToken: { generation: 2 } }, 'changed')
})

t.test('a refusal is not cached', async (t) => {
  const { world, enter } = build({ enabled: false })
  t.strictSame(await enter(), REFUSED)
  world.token = { ...world.token!, enabled: true }
  t.match(await enter(), { outcome: 'registry-token' })
})

t.test('a cached password stays valid within the grace while the database is unavailable', async (t) => {
  const expiresAt = new Date(1_500_000)
  const { world, enter } = build({ expiresAt })
  await enter()
  world.failure = new Unavailable()
  world.isListFresh = false
  world.now += 60_000
  t.strictSame(await enter(), accepted(makeToken({ expiresAt }), { notAfter: 1500, offline: true }))
  t.strictSame(
    await enter(makeTokenSecret('registry-token', randomInt)),
    { outcome: 'unavailable', dependency: 'database' },
    'an uncached password cannot be verified',
  )
  world.least = 2
  t.strictSame(await enter(), REFUSED, 'a revoked registry token is refused')
  world.least = 0
  world.now = 1_500_000
  t.strictSame(await enter(), REFUSED, 'an expired registry token is refused')
  const late = build()
  await late.enter()
  late.world.failure = new Unavailable()
  late.world.now += 900_001
  t.strictSame(
    await late.enter(),
    { outcome: 'unavailable', dependency: 'database' },
    'after the grace the password cannot be verified',
  )
})

t.test('an unexpected error during the sign-in of a registry token is thrown to the caller', async (t) => {
  const { world, enter } = build()
  world.failure = new Error('unexpected')
  await t.rejects(enter(), { message: 'unexpected' })
})
