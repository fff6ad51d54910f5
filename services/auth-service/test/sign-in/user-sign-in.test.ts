import t from 'tap'
import { DirectoryUnavailable } from '../../src/directory/directory.ts'
import type { PasswordVerifier } from '../../src/sign-in/user-sign-in.ts'
import { makeAccount } from '../fixtures/accounts.ts'
import {
  Outage,
  PASSWORD,
  REFUSED,
  UNAVAILABLE,
  buildUserSignIn as build,
  found,
} from '../fixtures/user-sign-in.ts'

t.test('a user signs in with the right password and a username in upper or lower case', async (t) => {
  const { world, withPassword } = build()
  t.strictSame(await withPassword('alice', PASSWORD), found(world.accounts[0]))
  t.strictSame(await withPassword('ALICE', PASSWORD), found(world.accounts[0]), 'the username in upper case')
})

t.test('wrong and impossible credentials are refused', async (t) => {
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

t.test('an unknown username costs a hash, so that usernames cannot be probed', async (t) => {
  const { world, withPassword } = build()
  await withPassword('nobody', 'some-password')
  t.strictSame(world.hashed, [null])
})

t.test('impossible usernames cause neither a query nor a count', async (t) => {
  const { world, withPassword } = build()
  world.outage = new TypeError('the database was queried')
  for (const name of ['al\0ice', 'x'.repeat(60_000)]) {
    for (const _ of [1, 2, 3, 4, 5]) t.strictSame(await withPassword(name, 'some-password'), REFUSED)
  }
  t.same(world.hashed, [])
})

t.test('a password is hashed once and then cached until it changes', async (t) => {
  const { world, withPassword } = build()
  for (const _ of [1, 2, 3]) t.match(await withPassword('alice', PASSWORD), { outcome: 'account' })
  t.equal(world.hashed.length, 1)
  world.accounts = [makeAccount({ passwordHash: 'hash of a-new-password' })]
  t.strictSame(await withPassword('alice', PASSWORD), REFUSED, 'the old password is refused at once')
  t.match(await withPassword('alice', 'a-new-password'), { outcome: 'account' })
})

t.test('cached credentials of a disabled or deleted user are refused at once', async (t) => {
  const { world, withPassword, withRefreshToken } = build()
  await withPassword('alice', PASSWORD)
  await withRefreshToken('r-alice')
  for (const accounts of [[makeAccount({ enabled: false })], []]) {
    world.accounts = accounts
    t.strictSame(await withPassword('alice', PASSWORD), REFUSED)
    t.strictSame(await withRefreshToken('r-alice'), REFUSED)
  }
})

t.test('cached credentials sign in while the database is unavailable', async (t) => {
  const { world, withPassword, withRefreshToken } = build()
  const [alice] = world.accounts
  await withPassword('alice', PASSWORD)
  await withRefreshToken('r-alice')
  world.outage = new Outage()

  t.strictSame(await withPassword('Alice', PASSWORD), found(alice, true), 'a cached password')
  t.strictSame(
    await withPassword('alice', PASSWORD, '10.0.0.9'),
    found(alice, true),
    'a cached password from another address',
  )
  t.strictSame(await withRefreshToken('r-alice'), found(alice, true), 'a cached refresh token')
  t.strictSame(await withPassword('alice', 'another-password'), UNAVAILABLE, 'a password that is not cached')
  t.strictSame(await withPassword('bob', PASSWORD), UNAVAILABLE)
  t.strictSame(await withRefreshToken('r-bob'), UNAVAILABLE)
  t.strictSame(await withRefreshToken('r-alice', 'another-service'), UNAVAILABLE)
  t.strictSame(
    await withPassword('refresh-token', 'r-alice'),
    UNAVAILABLE,
    'a refresh token is not a password',
  )

  world.now += 900_001
  t.strictSame(await withPassword('alice', PASSWORD), UNAVAILABLE, 'after the grace')
  t.strictSame(await withRefreshToken('r-alice'), UNAVAILABLE)
  world.outage = undefined
  t.strictSame(await withPassword('alice', PASSWORD), found(alice), 'after the outage')
})

t.test('a new refresh token is cached before its first use', async (t) => {
  const { world, remember, withRefreshToken } = build()
  const account = makeAccount()
  remember('r-new', 'registry.example', account)
  t.strictSame(await withRefreshToken('r-new'), REFUSED, 'the available database decides')
  world.outage = new Outage()
  t.strictSame(await withRefreshToken('r-new'), found(account, true))
  t.strictSame(await withRefreshToken('r-new', 'another-service'), UNAVAILABLE)
  world.revoked.push(account.id)
  t.strictSame(await withRefreshToken('r-new'), REFUSED)
})

t.test('a sign-in during an outage does not extend the grace', async (t) => {
  const { world, withPassword } = build()
  await withPassword('alice', PASSWORD)
  world.outage = new Outage()
  world.now += 600_000
  t.match(await withPassword('alice', PASSWORD), { outcome: 'account', offline: true })
  world.now += 600_000
  t.strictSame(await withPassword('alice', PASSWORD), UNAVAILABLE)
})

t.test('cached credentials of a revoked account are refused during an outage', async (t) => {
  const { world, withPassword, withRefreshToken } = build()
  await withPassword('alice', PASSWORD)
  await withRefreshToken('r-alice')
  world.outage = new Outage()
  world.revoked.push(makeAccount().id)
  t.strictSame(await withPassword('alice', PASSWORD), REFUSED)
  t.strictSame(await withRefreshToken('r-alice'), REFUSED)
})

t.test('a refresh token signs in only for its own service', async (t) => {
  const { world, withRefreshToken } = build()
  t.strictSame(await withRefreshToken('r-alice'), found(world.accounts[0]))
  for (const unknown of ['', 'r-bob', 'R-ALICE', PASSWORD])
    t.strictSame(await withRefreshToken(unknown), REFUSED)
  t.strictSame(await withRefreshToken('r-alice', 'another-service'), REFUSED)
})

t.test('a sign-in fails with an unexpected error instead of using the cache', async (t) => {
  const { world, withPassword, withRefreshToken } = build()
  await withPassword('alice', PASSWORD)
  await withRefreshToken('r-alice')
  world.outage = new TypeError('a programming fault')
  await t.rejects(withPassword('alice', PASSWORD), TypeError)
  await t.rejects(withRefreshToken('r-alice'), TypeError)
})

t.test('a verifier of a directory decides about directory users and newcomers', async (t) => {
  const dora = makeAccount({ id: 'id-of-dora', username: 'dora', directory: true, passwordHash: null })
  const requests: string[] = []
  const directory: PasswordVerifier = {
    handles: (username, account) => (account === undefined ? username === 'newcomer' : account.directory),
    async verify({ username, password }, account) {
      requests.push(username)
      if (password === 'directory-outage') throw new DirectoryUnavailable('no server responds')
      if (password !== PASSWORD) return undefined
      return account ?? makeAccount({ username, directory: true, passwordHash: null })
    },
  }
  const { world, withPassword } = build(directory)
  world.accounts.push(dora, { ...dora, username: 'eve', enabled: false })

  t.strictSame(await withPassword('DORA', PASSWORD), found(dora))
  t.match(await withPassword('newcomer', PASSWORD), { outcome: 'account', account: { username: 'newcomer' } })
  t.strictSame(await withPassword('dora', 'another-password'), REFUSED)
  t.strictSame(await withPassword('eve', PASSWORD), REFUSED, 'a user whom an administrator disabled')
  requests.length = 0
  for (const name of ['alice', 'nobody']) await withPassword(name, PASSWORD)
  t.strictSame(requests, [], 'no directory request for a local user or an unknown username')
  for (const password of ['', 'x'.repeat(1025)]) {
    t.strictSame(await withPassword('dora', password), REFUSED)
    t.strictSame(requests, [], 'no directory request for an impossible password')
  }

  t.test('an unavailable directory does not count as a failed sign-in', async (t) => {
    const unavailable = { outcome: 'unavailable', dependency: 'directory' }
    for (const _ of [1, 2, 3, 4, 5]) t.strictSame(await withPassword('dora', 'directory-outage'), unavailable)
    t.strictSame(await withPassword('dora', PASSWORD), found(dora), 'no attempt was counted')
    t.match(await withPassword('alice', PASSWORD), { outcome: 'account' })
  })

  t.test('cached directory users sign in during an outage of the database', async (t) => {
    world.outage = new Outage()
    requests.length = 0
    t.strictSame(await withPassword('dora', PASSWORD), found(dora, true))
    t.strictSame(await withPassword('dora', 'another-password'), UNAVAILABLE)
    t.strictSame(requests, [])
  })
})
