import t from 'tap'
import { onBothDatabases } from '@registry-manager/testing/both-databases'
import type { Accounts } from '../../src/accounts/index.ts'
import { createAccounts } from '../../src/accounts/index.ts'
import { isClusterAdministrator } from '../../src/principals/account.ts'
import { fakeHasher, planUser } from '../fixtures/accounts.ts'

const administrator = (username: string) => planUser(username, { role: 'cluster-administrator' })
const LAST = { refused: 'last-administrator' }

/** The changes that remove an administrator. */
const REMOVALS: readonly (readonly [
  why: string,
  remove: (users: Accounts, username: string) => Promise<object>,
])[] = [
  ['demoted to user', (users, username) => users.change(username, { role: 'user' })],
  ['demoted to administrator', (users, username) => users.change(username, { role: 'administrator' })],
  ['disabled', (users, username) => users.change(username, { enabled: false })],
  ['deleted', (users, username) => users.delete(username)],
]

await onBothDatabases(t, async (t, db) => {
  const users = createAccounts(db, fakeHasher)
  const administrators = async () =>
    (await users.list(0, 50)).filter(isClusterAdministrator).map(({ username }) => username)
  t.beforeEach(async () => {
    await db.deleteFrom('accounts').execute()
    await users.create(administrator('root'))
    await users.create(planUser('alice'))
    await users.create({ ...administrator('former'), enabled: false })
  })

  t.test('the last cluster administrator cannot be demoted, disabled or deleted', async (t) => {
    const before = await users.find('root')
    for (const [why, remove] of REMOVALS) t.strictSame(await remove(users, 'root'), LAST, `cannot be ${why}`)
    t.strictSame(await users.find('root'), before, 'the account is unchanged')
  })

  t.test('other changes of the last cluster administrator are allowed', async (t) => {
    t.match(await users.change('root', { password: 'another-password' }), { user: { username: 'root' } })
    t.match(await users.change('root', { namespaces: ['team'], role: 'cluster-administrator' }), { user: {} })
    t.match(await users.endSessions('root'), { user: { username: 'root' } })
    t.match(await users.delete('alice'), { user: {} }, 'other users can be deleted')
    t.match(await users.delete('former'), { user: {} }, 'a disabled administrator can be deleted')
  })

  t.test('one of two cluster administrators can be removed, and then not the other one', async (t) => {
    for (const [why, remove] of REMOVALS) {
      await users.delete('boss')
      await users.create(administrator('boss'))
      t.match(await remove(users, 'boss'), { user: { username: 'boss' } }, why)
      t.strictSame(await remove(users, 'root'), LAST)
      t.same(await administrators(), ['root'])
    }
  })

  t.test('concurrent removals of two cluster administrators leave one', async (t) => {
    for (const [why, removeOne] of REMOVALS) {
      for (const [reason, removeOther] of REMOVALS) {
        await users.delete('boss')
        await users.create(administrator('boss'))
        const outcomes = await Promise.all([removeOne(users, 'root'), removeOther(users, 'boss')])
        t.equal(outcomes.filter((outcome) => 'refused' in outcome).length, 1, `${why} and ${reason}`)
        const left = await administrators()
        t.equal(left.length, 1)
        if (left[0] === 'boss') {
          await users.delete('root')
          await users.create(administrator('root'))
        }
      }
    }
  })
})
