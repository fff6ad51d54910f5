import { randomInt } from 'node:crypto'
import t from 'tap'
import type { StoredRegistryToken, StoredSecret } from '../../src/registry-tokens/registry-token.ts'
import {
  hashRegistryTokenSecret,
  makeRegistryTokenSecret,
} from '../../src/registry-tokens/registry-token-secret.ts'
import { createRegistryTokenSignIn } from '../../src/registry-tokens/registry-token-sign-in.ts'
import { createCredentialCache } from '../../src/sign-in/credential-cache.ts'
import { makeToken } from '../fixtures/registry-tokens.ts'

class Away extends Error {}

const REFUSED = { outcome: 'refused' }
const ADDRESS = '10.0.0.1'
const stored = (secret: string, until: Date | null = null): StoredSecret => ({
  hash: hashRegistryTokenSecret(secret),
  until,
})

/** A registry token with the name CI. */
function build(change: Partial<StoredRegistryToken> = {}) {
  const secret = makeRegistryTokenSecret(randomInt)
  const world = {
    now: 1_000_000,
    token: { ...makeToken(), secrets: [stored(secret)], ...change } as StoredRegistryToken | undefined,
    least: 0,
    away: undefined as Error | undefined,
    lookups: [] as string[],
    uses: [] as string[],
  }
  const now = () => world.now
  const method = createRegistryTokenSignIn({
    findRegistryToken: async (username) => {
      if (world.away !== undefined) throw world.away
      world.lookups.push(username)
      return username === 'ci' ? world.token : undefined
    },
    isUnavailable: (error) => error instanceof Away,
    isRevoked: ({ generation }) => generation < world.least,
    cache: createCredentialCache({ key: Buffer.alloc(32, 1), now, maxAgeMs: 900_000, maxEntries: 100 }),
    noteUse: (id, address) => void world.uses.push(`${id} ${address}`),
    now,
  })
  return {
    world,
    secret,
    method,
    enter: (password = secret, name = 'CI') => method.signIn(name, password, ADDRESS),
  }
}

const accepted = (token = makeToken(), more: object = {}) => ({
  outcome: 'token',
  token,
  notAfter: undefined,
  offline: false,
  ...more,
})

t.test('the right password, the name in any case', async (t) => {
  const { world, enter } = build()
  for (const name of ['CI', 'ci', 'Ci']) t.strictSame(await enter(undefined, name), accepted(), name)
  t.strictSame(new Set(world.uses), new Set([`${makeToken().id} ${ADDRESS}`]), 'its use is noted')
  t.notOk(JSON.stringify(await enter()).includes('hash'), 'what is stored of its password stays behind')
})

t.test('what is refused', async (t) => {
  const { world, secret, enter } = build()
  t.strictSame(await enter(makeRegistryTokenSecret(randomInt)), REFUSED, 'another password')
  t.strictSame(await enter(secret, 'other'), REFUSED, 'another name')
  world.token = { ...world.token!, enabled: false }
  t.strictSame(await enter(), REFUSED, 'disabled')
  t.strictSame(world.uses, [])
})

t.test('a wrong checksum costs no query, nor does a name that is none', async (t) => {
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
  t.equal(method.accepts('alice', secret), true, 'whatever the username is')
  for (const password of ['a-password', 'rmt_short', '']) t.equal(method.accepts('ci', password), false)
})

t.test('stale passwords lock nobody out', async (t) => {
  const { enter } = build()
  for (let attempt = 0; attempt < 100; attempt += 1) await enter(makeRegistryTokenSecret(randomInt))
  t.strictSame(await enter(), accepted())
})

t.test('it is refused from the second of its expiry', async (t) => {
  const expiresAt = new Date(1_060_000)
  const { world, enter } = build({ expiresAt })
  t.strictSame(await enter(), accepted(makeToken({ expiresAt }), { notAfter: 1060 }))
  world.now = 1_059_999
  t.match(await enter(), { outcome: 'token' })
  world.now = 1_060_000
  t.strictSame(await enter(), REFUSED, 'though it was good a moment ago')
})

t.test('after a rotation both passwords work until the overlap ends', async (t) => {
  const { world, secret, enter } = build()
  const next = makeRegistryTokenSecret(randomInt)
  world.token = { ...world.token!, secrets: [stored(next), stored(secret, new Date(1_060_000))] }
  t.match(await enter(next), { outcome: 'token', notAfter: undefined })
  t.match(await enter(secret), { outcome: 'token', notAfter: 1060 }, 'nothing outlives the old one')
  world.now = 1_060_000
  t.strictSame(await enter(secret), REFUSED)
  t.match(await enter(next), { outcome: 'token' })
  world.token = {
    ...world.token!,
    expiresAt: new Date(1_090_000),
    secrets: [stored(next, new Date(1_095_000))],
  }
  world.now = 1_062_000
  t.match(await enter(next), { notAfter: 1090 }, 'whichever ends first')
})

t.test('what was good a moment ago is not looked up again', async (t) => {
  const { world, enter } = build()
  for (let request = 0; request < 50; request += 1) await enter()
  t.equal(world.lookups.length, 1)
  t.equal(world.uses.length, 50, 'but every use is noted')
  world.now += 1999
  await enter()
  t.equal(world.lookups.length, 1)
  world.now += 1
  await enter()
  t.equal(world.lookups.length, 2, 'for two seconds, no more')
})

t.test('a revocation ends that at once', async (t) => {
  const { world, enter } = build()
  await enter()
  world.least = 2
  world.token = undefined
  t.strictSame(await enter(), REFUSED, 'deleted')
  const other = build()
  await other.enter()
  other.world.least = 2
  other.world.token = { ...other.world.token!, generation: 2 }
  t.match(await other.enter(), { outcome: 'token', token: { generation: 2 } }, 'changed')
})

t.test('a refusal is not remembered', async (t) => {
  const { world, enter } = build({ enabled: false })
  t.strictSame(await enter(), REFUSED)
  world.token = { ...world.token!, enabled: true }
  t.match(await enter(), { outcome: 'token' })
})

t.test('while the database is away', async (t) => {
  const expiresAt = new Date(1_500_000)
  const { world, enter } = build({ expiresAt })
  await enter()
  world.away = new Away()
  world.now += 60_000
  t.strictSame(await enter(), accepted(makeToken({ expiresAt }), { notAfter: 1500, offline: true }))
  t.strictSame(
    await enter(makeRegistryTokenSecret(randomInt)),
    { outcome: 'unavailable', dependency: 'database' },
    'of others nobody knows',
  )
  world.least = 2
  t.strictSame(await enter(), REFUSED, 'revoked before')
  world.least = 0
  world.now = 1_500_000
  t.strictSame(await enter(), REFUSED, 'it expires all the same')
  const late = build()
  await late.enter()
  late.world.away = new Away()
  late.world.now += 900_001
  t.strictSame(
    await late.enter(),
    { outcome: 'unavailable', dependency: 'database' },
    'and is forgotten after the grace',
  )
})

t.test('other faults are faults', async (t) => {
  const { world, enter } = build()
  world.away = new Error('a fault')
  await t.rejects(enter(), { message: 'a fault' })
})
