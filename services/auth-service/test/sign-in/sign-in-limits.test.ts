import t from 'tap'
import type { StoredAccount } from '../../src/principals/account.ts'
import type { Freshness, SignIn } from '../../src/sign-in/sign-in.ts'
import type { PasswordVerifier } from '../../src/sign-in/user-sign-in.ts'
import { KNOWN_MS, createUserSignIn } from '../../src/sign-in/user-sign-in.ts'
import { createSignInLimits } from '../../src/sign-in/sign-in-limits.ts'
import { createCredentialCache } from '../../src/sign-in/credential-cache.ts'
import { makeAccount } from '../fixtures/accounts.ts'
import { memoryFailures } from '../fixtures/memory-failures.ts'

const PASSWORD = 'the-password'
const HOME = '198.51.100.7'
const id = (number: number) => `0b0e7d5e-54b5-4c1e-a7a0-${String(number).padStart(12, '0')}`

class Outage extends Error {}
const unavailableDependency = (error: unknown) => (error instanceof Outage ? 'database' : undefined)

/** Accounts `user-0`, `user-1` … with one password. `replica` builds a further replica. */
function build(verifier?: PasswordVerifier) {
  const world = {
    now: 1_000_000,
    hashed: 0,
    atOnce: 0,
    mostAtOnce: 0,
    outage: false,
    disabled: new Set<string>(),
    addresses: new Set<string>(),
  }
  const now = () => world.now
  const failures = memoryFailures(now)
  const replica = () => {
    const signIn = createUserSignIn({
      verifiers: verifier ? [verifier] : [],
      async findAccount(username) {
        if (world.outage) throw new Outage()
        const number = /^user-(\d+)$/.exec(username)?.[1]
        if (number === undefined) return undefined
        const account = { id: id(Number(number)), username, enabled: !world.disabled.has(username) }
        return makeAccount(verifier ? { ...account, directory: true, passwordHash: null } : account)
      },
      findByRefreshToken: async () => undefined,
      unavailableDependency,
      replaceImportedHash: async (account) => account,
      async verifyPassword(password, hash) {
        world.hashed += 1
        world.atOnce += 1
        world.mostAtOnce = Math.max(world.mostAtOnce, world.atOnce)
        await new Promise((resolve) => setTimeout(resolve, 2))
        world.atOnce -= 1
        return hash === `hash of ${password}`
      },
      isRevoked: () => false,
      isUnchanged: () => true,
      now,
      cache: createCredentialCache({ key: Buffer.alloc(32, 1), now, maxAgeMs: KNOWN_MS, maxEntries: 1000 }),
      offlineMs: 900_000,
      limits: createSignInLimits({
        failures,
        addresses: {
          note: (account, client) => void world.addresses.add(`${account} ${client}`),
          isKnown: async (account, client) => world.addresses.has(`${account} ${client}`),
        },
        now,
      }),
    })
    return (username: string, password: string, address = HOME, freshness: Freshness = 'current') =>
      signIn.signIn(username, password, address, freshness)
  }
  return { world, replica, enter: replica() }
}

const tally = (results: readonly SignIn[]) => {
  const counts: Record<string, number> = {}
  for (const { outcome } of results) counts[outcome] = (counts[outcome] ?? 0) + 1
  return counts
}
const stranger = (number: number) => `203.0.113.${number % 250}`

t.test(
  'one password tried on 600 accounts from one address is limited before the 30th attempt',
  async (t) => {
    const { enter } = build()
    const results: SignIn[] = []
    for (let at = 0; at < 600; at += 1) results.push(await enter(`user-${at}`, 'summer-2026', '192.0.2.1'))
    t.same(tally(results), { refused: 22, throttled: 578 })
    t.match(await enter('user-1', PASSWORD), { outcome: 'account' }, 'another address is not limited')
  },
)

t.test('of 600 concurrent guesses of one account 20 are verified', async (t) => {
  const { world, enter } = build()
  const guesses = Array.from({ length: 600 }, (_, at) => enter('user-1', `guess-${at}`, stranger(at)))
  const results = await Promise.all(guesses)
  t.same(tally(results), { refused: 20, throttled: 580 })
  t.equal(world.hashed, 20)
})

t.test('the delay of guesses of one account doubles across addresses', async (t) => {
  const { world, enter } = build()
  for (let at = 0; at < 20; at += 1)
    t.match(await enter('user-1', `guess-${at}`, stranger(at)), { outcome: 'refused' })
  for (const retryAfterSeconds of [15, 30, 60, 120]) {
    t.same(await enter('USER-1', 'guess', stranger(99)), { outcome: 'throttled', retryAfterSeconds })
    world.now += retryAfterSeconds * 1000
    t.match(await enter('user-1', `after ${retryAfterSeconds}`, stranger(50)), { outcome: 'refused' })
  }
  const wait = await enter('user-1', PASSWORD, stranger(77))
  t.match(wait, { outcome: 'throttled' }, 'the right password is limited too unless it is cached')
})

t.test('concurrent sign-ins with one right password share one hash', async (t) => {
  const { world, enter } = build()
  const results = await Promise.all(
    Array.from({ length: 200 }, (_, at) => enter('user-1', PASSWORD, stranger(at))),
  )
  t.same(tally(results), { account: 200 })
  t.ok(world.hashed <= 20, `${world.hashed} hashes`)
})

t.test('200 users who sign in concurrently from one address are not limited', async (t) => {
  const { enter } = build()
  const results = await Promise.all(Array.from({ length: 200 }, (_, at) => enter(`user-${at}`, PASSWORD)))
  t.same(tally(results), { account: 200 })
})

t.test('cached credentials pass while the account is attacked', async (t) => {
  const { world, replica, enter } = build()
  t.match(await enter('user-1', PASSWORD), { outcome: 'account' })
  for (let at = 0; at < 300; at += 1) await enter('user-1', `guess-${at}`, stranger(at))
  t.match(await enter('user-1', PASSWORD), { outcome: 'account' })
  t.match(await enter('user-1', PASSWORD, '198.51.100.8'), { outcome: 'account' }, 'from a new address')

  const restarted = replica()
  t.match(
    await restarted('user-1', 'guess', stranger(1)),
    { outcome: 'throttled' },
    'a replica counts failures of other replicas',
  )
  t.match(
    await restarted('user-1', PASSWORD),
    { outcome: 'account' },
    'a replica knows the addresses of the account',
  )
  world.addresses.clear()
  t.match(
    await replica()('user-1', PASSWORD),
    { outcome: 'throttled' },
    'an account without known addresses is limited',
  )
})

t.test('cached credentials pass at a limited address and others wait', async (t) => {
  const { world, enter } = build()
  t.match(await enter('user-1', PASSWORD), { outcome: 'account' })
  for (let at = 0; at < 100; at += 1) await enter(`invented-${at}`, 'wrong-password')
  t.match(await enter('user-1', PASSWORD), { outcome: 'account' })
  t.match(await enter('user-2', PASSWORD), { outcome: 'throttled', retryAfterSeconds: 20 })
  world.now += 20_000
  t.match(await enter('user-2', PASSWORD), { outcome: 'account' }, 'the delay is twenty seconds')
})

t.test('guesses at cached credentials are limited, for access tokens as well', async (t) => {
  for (const freshness of ['current', 'recent'] as const) {
    const { enter } = build()
    const right = (address = HOME) => enter('user-1', PASSWORD, address, freshness)
    const guess = (name: string, password: string, address = HOME) =>
      enter(name, password, address, freshness)
    t.match(await right(), { outcome: 'account' })
    for (let at = 0; at < 30; at += 1) await guess(`invented-${at}`, 'wrong-password', stranger(1))
    t.match(await right(stranger(1)), { outcome: 'throttled' }, 'a limited address')
    for (let at = 0; at < 1100; at += 1) await guess('user-1', `guess-${at}`, stranger(at))
    t.match(await right('198.51.100.9'), { outcome: 'throttled' }, 'a thousand addresses')
    t.match(await right(), { outcome: 'account' }, 'the account passes at its own address')
    for (let at = 0; at < 1100; at += 1) await guess('user-1', `guess-${at}`)
    t.match(await right(), { outcome: 'throttled' }, 'a thousand wrong passwords from its own address')
  }
})

t.test(
  'a username that resembles the key of an account and an address does not limit that account',
  async (t) => {
    const { replica, enter } = build()
    await enter('user-1', PASSWORD)
    for (let at = 0; at < 50; at += 1) await enter(`user-1","${HOME}`, `guess-${at}`, stranger(at))
    for (let at = 0; at < 50; at += 1) await enter(`user-1 ${HOME}`, `guess-${at}`, stranger(at))
    t.match(await replica()('user-1', PASSWORD), { outcome: 'account' })
  },
)

t.test('the right password of a disabled account is handled like a wrong one', async (t) => {
  const { world, enter } = build()
  await enter('user-1', PASSWORD)
  world.disabled.add('user-1')
  const outcomes = async (username: string, password: string, address: string) => {
    const seen: string[] = []
    for (let at = 0; at < 30; at += 1) seen.push((await enter(username, password, address)).outcome)
    return seen
  }
  const before = world.hashed
  const right = await outcomes('user-1', PASSWORD, '192.0.2.1')
  t.equal(world.hashed - before, 20, 'each attempt costs a hash although the password is cached')
  t.same(right, await outcomes('user-2', 'wrong-password', '192.0.2.2'))
  t.same(
    right,
    await outcomes('nobody', 'wrong-password', '192.0.2.3'),
    'an unknown username gives the same outcomes',
  )
})

t.test('the right password of a disabled directory user is handled like a wrong one', async (t) => {
  const requests: string[] = []
  // The directory disables `user-7`, an administrator disables `user-1`.
  const directory: PasswordVerifier = {
    handles: (_, account) => account !== undefined,
    async verify({ username, password }, account): Promise<StoredAccount | undefined> {
      requests.push(username)
      if (password !== PASSWORD || account === undefined) return undefined
      return username === 'user-7' ? { ...account, enabled: false } : account
    },
  }
  const { world, enter } = build(directory)
  world.disabled.add('user-1')
  const outcomes = async (username: string, password: string, address: string) => {
    const seen: string[] = []
    for (let at = 0; at < 30; at += 1) seen.push((await enter(username, password, address)).outcome)
    return seen
  }
  const wrong = await outcomes('user-2', 'wrong-password', '192.0.2.1')
  t.same(await outcomes('user-7', PASSWORD, '192.0.2.2'), wrong)
  requests.length = 0
  t.same(await outcomes('user-1', PASSWORD, '192.0.2.3'), wrong)
  t.same(requests, [], 'the directory gets no request about a user whom an administrator disabled')
  t.match(await enter('user-3', PASSWORD), { outcome: 'account' })
})

t.test('guesses are limited during an outage of the database and not counted after it', async (t) => {
  const { world, enter } = build()
  await enter('user-1', PASSWORD)
  world.outage = true
  const results: SignIn[] = []
  for (let at = 0; at < 40; at += 1) results.push(await enter('user-1', `guess-${at}`, stranger(1)))
  t.same(tally(results), { unavailable: 20, throttled: 20 })
  const spray: SignIn[] = []
  for (let at = 0; at < 40; at += 1) spray.push(await enter(`user-${at + 100}`, 'summer-2026', stranger(2)))
  t.same(tally(spray), { unavailable: 22, throttled: 18 })
  t.match(await enter('user-1', PASSWORD), { outcome: 'account', offline: true })
  world.outage = false
  t.match(await enter('user-2', PASSWORD, stranger(2)), { outcome: 'account', offline: false })
})

t.test('wrong refresh tokens are limited for each address', async (t) => {
  const { world } = build()
  const limits = createSignInLimits({
    failures: memoryFailures(() => world.now),
    addresses: { note: () => undefined, isKnown: async () => false },
    now: () => world.now,
  })
  for (let at = 0; at < 22; at += 1) t.match(await limits.refuseToken('192.0.2.1'), { outcome: 'refused' })
  t.match(await limits.refuseToken('192.0.2.1'), { outcome: 'throttled', retryAfterSeconds: 20 })
  t.match(await limits.refuseToken('192.0.2.2'), { outcome: 'refused' })
})
