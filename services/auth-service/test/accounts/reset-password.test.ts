import t from 'tap'
import { onBothDatabases } from '@registry-manager/testing/both-databases'
import { createAccounts } from '../../src/accounts/index.ts'
import { fakeHasher, planUser } from '../fixtures/accounts.ts'
import { refreshTokensOf } from '../fixtures/refresh-tokens.ts'

await onBothDatabases(t, async (t, db) => {
  const users = createAccounts(db, fakeHasher)
  const refreshTokens = refreshTokensOf(db)
  const reset = (username: string, leaveDirectory = false) =>
    users.resetPassword({ username, leaveDirectory })
  t.beforeEach(() => db.deleteFrom('accounts').execute())

  t.test('a reset sets a new random password and ends the tokens and sessions of the account', async (t) => {
    await users.create(planUser('root', { role: 'cluster-administrator', namespaces: ['team'] }))
    const before = await users.find('root')
    if (before === undefined) throw new Error('root was not created')
    const refreshToken = await refreshTokens.issue(before, 'registry.example', 'docker')
    t.ok(await refreshTokens.findAccountId(refreshToken, 'registry.example'))

    const first = await reset('ROOT')
    if (first.outcome !== 'reset') throw new Error(first.outcome)
    t.match(first, { username: 'root', enabled: true, password: /^[\w-]{20}$/ })
    const after = await users.find('root')
    t.equal(after?.passwordHash, `hash of ${first.password}`)
    t.equal(after?.generation, before.generation + 1)
    t.match(after, { role: 'cluster-administrator', namespaces: ['team'] }, 'the rights are unchanged')
    t.equal((await users.revocationsSince(new Date(0))).generations.get(before.id), before.generation + 1)
    t.equal(await refreshTokens.findAccountId(refreshToken, 'registry.example'), undefined)
    t.equal(await db.selectFrom('refresh_tokens').selectAll().executeTakeFirst(), undefined)

    const second = await reset('root')
    t.not(second.outcome === 'reset' && second.password, first.password)
  })

  t.test('a reset of a disabled account leaves it disabled and reports that it is disabled', async (t) => {
    await users.create(planUser('jane', { enabled: false }))
    t.match(await reset('jane'), { outcome: 'reset', enabled: false })
    t.equal((await users.find('jane'))?.enabled, false)
  })

  t.test('a reset of a name that no user has names the administrators and changes nothing', async (t) => {
    await users.create(planUser('boss', { role: 'cluster-administrator' }))
    await users.create(planUser('gone', { role: 'cluster-administrator', enabled: false }))
    await users.create(planUser('jane'))
    const before = await db.selectFrom('accounts').selectAll().orderBy('id').execute()
    t.strictSame(await reset('admin'), { outcome: 'absent', administrators: ['boss'] })
    t.strictSame(await db.selectFrom('accounts').selectAll().orderBy('id').execute(), before)
  })

  t.test(
    'a reset changes a directory user only with leaveDirectory, which makes the user a local one',
    async (t) => {
      const directoryState = {
        dn: 'CN=dora,DC=example,DC=com',
        state: 'active',
        role: null,
        namespaces: ['team'],
      } as const
      await users.create(planUser('dora', { directory: true, password: null, directoryState }))
      t.strictSame(await reset('dora'), { outcome: 'directory', username: 'dora' })
      t.match(await users.find('dora'), { directory: true, passwordHash: null, generation: 1 })
      t.match(await reset('dora', true), { outcome: 'reset', username: 'dora' })
      const after = await users.find('dora')
      t.match(after, { directory: false, generation: 2, namespaces: [] })
      t.notOk(after?.directoryState)
    },
  )
})
