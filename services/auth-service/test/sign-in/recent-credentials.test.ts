import t from 'tap'
import type { StoredAccount } from '../../src/principals/account.ts'
import { makeAccount } from '../fixtures/accounts.ts'
import { Outage, PASSWORD, REFUSED, buildUserSignIn, found } from '../fixtures/user-sign-in.ts'

/** Sign-ins for access tokens, with a fresh revocation list. */
function build(...args: Parameters<typeof buildUserSignIn>) {
  const { withPassword, ...built } = buildUserSignIn(...args)
  built.world.isListFresh = true
  const enter = (password = PASSWORD, username = 'alice', address = '10.0.0.1') =>
    withPassword(username, password, address, 'recent')
  return { ...built, withPassword, enter }
}

t.test('credentials verified within a minute are not looked up again for an access token', async (t) => {
  const { world, enter, withRefreshToken } = build()
  const [alice] = world.accounts
  for (const _ of [1, 2, 3]) t.strictSame(await enter(), found(alice))
  t.strictSame(
    await enter(PASSWORD, 'ALICE', '10.0.0.9'),
    found(alice),
    'in upper case, from another address',
  )
  t.same([world.reads, world.hashed.length], [1, 1])
  t.ok(world.addresses.has(`${alice?.id} 10.0.0.9`), 'the address is noted as with any sign-in')
  for (const _ of [1, 2, 3]) t.strictSame(await withRefreshToken('r-alice'), found(alice), 'a refresh token')
  t.equal(world.reads, 2)
  world.now += 60_000
  await enter()
  await withRefreshToken('r-alice')
  t.same([world.reads, world.hashed.length], [4, 1], 'after a minute the account is read, without a hash')
})

t.test('sign-ins for anything but access tokens read the account each time', async (t) => {
  const { world, enter, withPassword } = build()
  await enter()
  await withPassword('alice', PASSWORD)
  await withPassword('alice', PASSWORD)
  t.equal(world.reads, 3)
})

t.test('the minute begins when the account is read, not when the hash is ready', async (t) => {
  const { world, enter } = build()
  world.hashingMs = 45_000
  await enter()
  world.now += 14_999
  await enter()
  t.equal(world.reads, 1)
  world.now += 1
  await enter()
  t.equal(world.reads, 2)
})

t.test('without a fresh revocation list the account is read each time', async (t) => {
  const { world, enter, withRefreshToken } = build()
  await enter()
  await withRefreshToken('r-alice')
  world.isListFresh = false
  world.accounts = []
  t.strictSame(await enter(), REFUSED)
  t.strictSame(await withRefreshToken('r-alice'), REFUSED)
  world.outage = new Outage()
  t.match(await enter(), { outcome: 'account', offline: true }, 'an outage of the database: pulls only')
})

t.test('a revocation ends the cached credentials of an account', async (t) => {
  const changes: readonly (readonly [why: string, accounts: StoredAccount[], result: object])[] = [
    ['a changed password', [makeAccount({ passwordHash: 'hash of another', generation: 2 })], REFUSED],
    ['a disabled account', [makeAccount({ enabled: false, generation: 2 })], REFUSED],
    ['a deleted account', [], REFUSED],
    [
      'a changed right',
      [makeAccount({ namespaces: ['team'], generation: 2 })],
      { outcome: 'account', account: { namespaces: ['team'], generation: 2 } },
    ],
  ]
  for (const [why, accounts, result] of changes) {
    const { world, enter, withRefreshToken } = build()
    await enter()
    await withRefreshToken('r-alice')
    world.accounts = accounts
    t.match(await enter(), { outcome: 'account', account: { generation: 1 } }, `${why}: not yet in the list`)
    world.revoked.push(makeAccount().id)
    t.match(await enter(), result, why)
    t.match(await withRefreshToken('r-alice'), accounts[0]?.enabled ? { outcome: 'account' } : REFUSED, why)
  }
})

t.test('a wrong password is never cached as a right one', async (t) => {
  const { world, enter } = build()
  await enter()
  for (const wrong of ['another-password', PASSWORD.toUpperCase(), `${PASSWORD} `]) {
    for (const _ of [1, 2]) t.strictSame(await enter(wrong), REFUSED, wrong)
  }
  t.strictSame(await enter(PASSWORD, 'bob'), REFUSED, 'the password of another user')
  t.equal(world.hashed.length, 8, 'each wrong password is hashed')
  t.equal(world.cached.length, 1)
})

t.test('the cache stores neither passwords nor refresh tokens', async (t) => {
  const { world, enter, withRefreshToken, remember } = build()
  await enter()
  await withRefreshToken('r-alice')
  remember('r-new', 'registry.example', makeAccount())
  const cached = JSON.stringify(world.cached).replaceAll('hash of the-password', '')
  t.equal(world.cached.length, 3)
  for (const secret of [PASSWORD, 'r-alice', 'r-new']) t.notOk(cached.includes(secret), secret)
})

t.test('a new refresh token is looked up at its first use', async (t) => {
  const { world, withRefreshToken, remember } = build()
  remember('r-new', 'registry.example', makeAccount())
  t.strictSame(await withRefreshToken('r-new'), REFUSED, 'the database does not have it')
  world.refreshTokens.set('r-new', 'alice')
  t.match(await withRefreshToken('r-new'), { outcome: 'account' })
})

t.test('a directory user is recalled only while the directory verifier caches the credentials', async (t) => {
  const dora = makeAccount({ id: 'id-of-dora', username: 'dora', directory: true, passwordHash: null })
  const directory = { isCached: true, verified: 0 }
  const { world, enter } = build({
    handles: (_, account) => account?.directory === true,
    isCached: () => directory.isCached,
    async verify({ password }, account) {
      directory.verified += 1
      return password === PASSWORD ? account : undefined
    },
  })
  world.accounts.push(dora)
  for (const _ of [1, 2, 3]) t.strictSame(await enter(PASSWORD, 'dora'), found(dora))
  t.same([world.reads, directory.verified], [1, 1])
  directory.isCached = false
  await enter(PASSWORD, 'dora')
  t.same([world.reads, directory.verified], [2, 2], 'the directory is asked again')
  directory.isCached = true
  world.accounts = [{ ...dora, enabled: false, generation: 2 }]
  world.revoked.push(dora.id)
  t.strictSame(await enter(PASSWORD, 'dora'), REFUSED, 'the directory has disabled the user')
})
