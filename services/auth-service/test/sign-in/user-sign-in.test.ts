import t from 'tap'
import type { StoredAccount } from '../../src/accounts/account.ts'
import { DirectoryUnavailable } from '../../src/directory/directory.ts'
import type { PasswordVerifier } from '../../src/sign-in/user-sign-in.ts'
import { KNOWN_MS, createUserSignIn } from '../../src/sign-in/user-sign-in.ts'
import { createSignInLimits } from '../../src/sign-in/sign-in-limits.ts'
import { createCredentialCache } from '../../src/sign-in/credential-cache.ts'
import { makeAccount } from '../fixtures/accounts.ts'
import { memoryFailures } from '../fixtures/memory-failures.ts'

class Away extends Error {}
function unavailableDependency(error: unknown) {
  if (error instanceof DirectoryUnavailable) return 'directory'
  return error instanceof Away ? 'database' : undefined
}

const REFUSED = { outcome: 'refused' }
const UNAVAILABLE = { outcome: 'unavailable', dependency: 'database' }
const PASSWORD = 'the-password'

/** Accounts in a list, and passwords that "hash" to `hash of …`. */
function build(verifier?: PasswordVerifier) {
  const world = {
    now: 1_000_000,
    accounts: [makeAccount()] as StoredAccount[],
    refreshTokens: new Map([['r-alice', 'alice']]),
    revoked: [] as string[],
    away: undefined as Error | undefined,
    hashed: [] as (string | null)[],
    addresses: new Set<string>(),
  }
  const now = () => world.now
  const find = (username: string | undefined) => {
    if (world.away !== undefined) throw world.away
    return world.accounts.find((account) => account.username === username)
  }
  const signIn = createUserSignIn({
    verifiers: verifier ? [verifier] : [],
    findAccount: async (username) => find(username),
    findByRefreshToken: async (token, service) => {
      const account = find(world.refreshTokens.get(token))
      return service === 'registry.example' && account?.enabled ? account : undefined
    },
    unavailableDependency,
    verifyPassword: async (password, hash) => {
      world.hashed.push(hash)
      return hash === `hash of ${password}`
    },
    isRevoked: ({ id }) => world.revoked.includes(id),
    cache: createCredentialCache({ key: Buffer.alloc(32, 1), now, maxAgeMs: KNOWN_MS, maxEntries: 100 }),
    offlineMs: 900_000,
    limits: createSignInLimits({
      failures: memoryFailures(now),
      addresses: {
        note: (id, client) => void world.addresses.add(`${id} ${client}`),
        isKnown: async (id, client) => world.addresses.has(`${id} ${client}`),
      },
      now,
    }),
  })
  const withPassword = (username: string, password: string, address = '10.0.0.1') =>
    signIn.signIn(username, password, address)
  const withRefreshToken = (token: string, service = 'registry.example') =>
    signIn.withRefreshToken(token, service, '10.0.0.1')
  return { world, withPassword, withRefreshToken, remember: signIn.rememberRefreshToken }
}

const found = (account: StoredAccount | undefined, offline = false) => ({
  outcome: 'account',
  account,
  offline,
})

t.test('the right password', async (t) => {
  const { world, withPassword } = build()
  t.strictSame(await withPassword('alice', PASSWORD), found(world.accounts[0]))
  t.strictSame(await withPassword('ALICE', PASSWORD), found(world.accounts[0]), 'the name in any case')
})

t.test('what is refused', async (t) => {
  const { world, withPassword } = build()
  world.accounts.push(makeAccount({ username: 'dora', directory: true, passwordHash: null }))
  world.accounts.push(makeAccount({ username: 'eve', enabled: false }))
  const cases = [
    ['alice', 'another-password', 'a wrong password'],
    ['alice', PASSWORD.toUpperCase(), 'a password in another case'],
    ['alice', '', 'no password'],
    ['alice', 'x'.repeat(1025), 'a password longer than any'],
    ['nobody', PASSWORD, 'an unknown name'],
    ['', PASSWORD, 'no name'],
    ['al\0ice', PASSWORD, 'a name that Postgres has no text for'],
    ['x'.repeat(256), PASSWORD, 'a name longer than any'],
    ['dora', PASSWORD, 'a directory account, whose password is not ours'],
    ['eve', PASSWORD, 'a disabled account, with its right password'],
  ] as const
  for (const [username, password, why] of cases) {
    t.strictSame(await withPassword(username, password), REFUSED, why)
  }
})

t.test('an unknown name costs a hash too, so that names cannot be probed', async (t) => {
  const { world, withPassword } = build()
  await withPassword('nobody', 'some-password')
  t.strictSame(world.hashed, [null])
})

t.test('names that nobody can have are neither looked for nor counted', async (t) => {
  const { world, withPassword } = build()
  world.away = new TypeError('the database was asked')
  for (const name of ['al\0ice', 'x'.repeat(60_000)]) {
    for (const _ of [1, 2, 3, 4, 5]) t.strictSame(await withPassword(name, 'some-password'), REFUSED)
  }
  t.same(world.hashed, [])
})

t.test('a good password is hashed once, and again when it was changed', async (t) => {
  const { world, withPassword } = build()
  for (const _ of [1, 2, 3]) t.match(await withPassword('alice', PASSWORD), { outcome: 'account' })
  t.equal(world.hashed.length, 1)
  world.accounts = [makeAccount({ passwordHash: 'hash of a-new-password' })]
  t.strictSame(await withPassword('alice', PASSWORD), REFUSED, 'the old one is dead at once')
  t.match(await withPassword('alice', 'a-new-password'), { outcome: 'account' })
})

t.test('disabled, deleted: refused at once, remembered or not', async (t) => {
  const { world, withPassword, withRefreshToken } = build()
  await withPassword('alice', PASSWORD)
  await withRefreshToken('r-alice')
  for (const accounts of [[makeAccount({ enabled: false })], []]) {
    world.accounts = accounts
    t.strictSame(await withPassword('alice', PASSWORD), REFUSED)
    t.strictSame(await withRefreshToken('r-alice'), REFUSED)
  }
})

t.test('while the database is away', async (t) => {
  const { world, withPassword, withRefreshToken } = build()
  const [alice] = world.accounts
  await withPassword('alice', PASSWORD)
  await withRefreshToken('r-alice')
  world.away = new Away()

  t.strictSame(await withPassword('Alice', PASSWORD), found(alice, true), 'a known password is good')
  t.strictSame(await withPassword('alice', PASSWORD, '10.0.0.9'), found(alice, true), 'from anywhere')
  t.strictSame(await withRefreshToken('r-alice'), found(alice, true), 'so is a known refresh token')
  t.strictSame(await withPassword('alice', 'another-password'), UNAVAILABLE, 'of others nobody knows')
  t.strictSame(await withPassword('bob', PASSWORD), UNAVAILABLE)
  t.strictSame(await withRefreshToken('r-bob'), UNAVAILABLE)
  t.strictSame(await withRefreshToken('r-alice', 'another-service'), UNAVAILABLE)
  t.strictSame(await withPassword('refresh-token', 'r-alice'), UNAVAILABLE, 'a token is no password')

  world.now += 900_001
  t.strictSame(await withPassword('alice', PASSWORD), UNAVAILABLE, 'nor of anybody when it lasts')
  t.strictSame(await withRefreshToken('r-alice'), UNAVAILABLE)
  world.away = undefined
  t.strictSame(await withPassword('alice', PASSWORD), found(alice), 'until it is back')
})

t.test('a refresh token that was made just now is known without having been shown', async (t) => {
  const { world, remember, withRefreshToken } = build()
  const account = makeAccount()
  remember('r-new', 'registry.example', account)
  t.strictSame(await withRefreshToken('r-new'), REFUSED, 'while the database is there, it decides')
  world.away = new Away()
  t.strictSame(await withRefreshToken('r-new'), found(account, true))
  t.strictSame(await withRefreshToken('r-new', 'another-service'), UNAVAILABLE)
  world.revoked.push(account.id)
  t.strictSame(await withRefreshToken('r-new'), REFUSED)
})

t.test('signing in while it is away does not lengthen the time', async (t) => {
  const { world, withPassword } = build()
  await withPassword('alice', PASSWORD)
  world.away = new Away()
  world.now += 600_000
  t.match(await withPassword('alice', PASSWORD), { outcome: 'account', offline: true })
  world.now += 600_000
  t.strictSame(await withPassword('alice', PASSWORD), UNAVAILABLE)
})

t.test('what is known to be revoked stays so while it is away', async (t) => {
  const { world, withPassword, withRefreshToken } = build()
  await withPassword('alice', PASSWORD)
  await withRefreshToken('r-alice')
  world.away = new Away()
  world.revoked.push(makeAccount().id)
  t.strictSame(await withPassword('alice', PASSWORD), REFUSED)
  t.strictSame(await withRefreshToken('r-alice'), REFUSED)
})

t.test('refresh tokens', async (t) => {
  const { world, withRefreshToken } = build()
  t.strictSame(await withRefreshToken('r-alice'), found(world.accounts[0]))
  for (const unknown of ['', 'r-bob', 'R-ALICE', PASSWORD])
    t.strictSame(await withRefreshToken(unknown), REFUSED)
  t.strictSame(await withRefreshToken('r-alice', 'another-service'), REFUSED)
})

t.test('a fault is a fault, and no reason to let anybody in', async (t) => {
  const { world, withPassword, withRefreshToken } = build()
  await withPassword('alice', PASSWORD)
  await withRefreshToken('r-alice')
  world.away = new TypeError('a programming fault')
  await t.rejects(withPassword('alice', PASSWORD), TypeError)
  await t.rejects(withRefreshToken('r-alice'), TypeError)
})

t.test('with a directory', async (t) => {
  const dora = makeAccount({ id: 'id-of-dora', username: 'dora', directory: true, passwordHash: null })
  const asked: string[] = []
  const directory: PasswordVerifier = {
    handles: (username, account) => (account === undefined ? username === 'newcomer' : account.directory),
    async verify({ username, password }, account) {
      asked.push(username)
      if (password === 'away') throw new DirectoryUnavailable('no server answers')
      if (password !== PASSWORD) return undefined
      return account ?? makeAccount({ username, directory: true, passwordHash: null })
    },
  }
  const { world, withPassword } = build(directory)
  world.accounts.push(dora, { ...dora, username: 'eve', enabled: false })

  t.strictSame(await withPassword('DORA', PASSWORD), found(dora))
  t.match(await withPassword('newcomer', PASSWORD), { outcome: 'account', account: { username: 'newcomer' } })
  t.strictSame(await withPassword('dora', 'another-password'), REFUSED)
  t.strictSame(await withPassword('eve', PASSWORD), REFUSED, 'disabled by an administrator')
  asked.length = 0
  for (const name of ['alice', 'nobody']) await withPassword(name, PASSWORD)
  t.strictSame(asked, [], 'neither a local account nor an unknown name is asked about')
  for (const password of ['', 'x'.repeat(1025)]) {
    t.strictSame(await withPassword('dora', password), REFUSED)
    t.strictSame(asked, [], 'nor is what cannot be a password')
  }

  t.test('which is away: that is no failure of whoever signs in', async (t) => {
    const away = { outcome: 'unavailable', dependency: 'directory' }
    for (const _ of [1, 2, 3, 4, 5]) t.strictSame(await withPassword('dora', 'away'), away)
    t.strictSame(await withPassword('dora', PASSWORD), found(dora), 'no attempt was counted')
    t.match(await withPassword('alice', PASSWORD), { outcome: 'account' })
  })

  t.test('while the database is away, known credentials are good without it', async (t) => {
    world.away = new Away()
    asked.length = 0
    t.strictSame(await withPassword('dora', PASSWORD), found(dora, true))
    t.strictSame(await withPassword('dora', 'another-password'), UNAVAILABLE)
    t.strictSame(asked, [])
  })
})
