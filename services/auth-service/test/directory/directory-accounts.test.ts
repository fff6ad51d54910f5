import t from 'tap'
import type { Database } from '@registry-manager/database'
import type { Test } from 'tap'
import { onBothDatabases } from '@registry-manager/testing/both-databases'
import { createDirectoryAccounts } from '../../src/directory/directory-accounts.ts'
import { createUsersStore } from '../../src/accounts/manage-users.ts'
import type { DirectoryStanding } from '../../src/directory/directory-state.ts'
import { fakeHasher, planUser } from '../fixtures/accounts.ts'

const STANDING: DirectoryStanding = { dn: 'CN=x', state: 'active', role: null, namespaces: ['team'] }
const HOUR = 3_600_000

async function build(db: Database) {
  await db.deleteFrom('accounts').execute()
  await db.deleteFrom('revocations').execute()
  const users = createUsersStore(db, fakeHasher, Date.now)
  await users.create(planUser('root', { role: 'cluster-administrator' }))
  return { users, accounts: createDirectoryAccounts(db, users, Date.now) }
}

async function testAccounts(t: Test, db: Database) {
  await t.test('made with what the directory says, and read back with it', async (t) => {
    const { users, accounts } = await build(db)
    const role = 'administrator' as const
    const made = await accounts.create('dora', { ...STANDING, role })
    const own = { role: 'user', enabled: true, namespaces: [] } as const
    const expected = { directory: true, passwordHash: null, role, namespaces: ['team'], own }
    t.match(made, { ...expected, standing: { ...STANDING, role } })
    t.strictSame(await users.findById(made?.id ?? ''), made)
    t.match(await users.list(0, 9), [{ username: 'dora', namespaces: ['team'] }, { username: 'root' }])
    t.strictSame(await accounts.create('root', STANDING), await users.findByUsername('root'), 'a taken name')
  })

  await t.test(
    'a standing that changes what holds ends what was issued; one that does not, does not',
    async (t) => {
      const { users, accounts } = await build(db)
      const made = await accounts.create('dora', STANDING)
      if (made === undefined) throw new Error('dora was not made')
      const moved = await accounts.settle(made, { ...STANDING, dn: 'CN=y' })
      t.match(moved, { generation: 1, standing: { dn: 'CN=y' } })
      t.equal((await users.revocationsSince(new Date(0))).size, 0)
      const locked = await accounts.settle(made, { ...STANDING, state: 'locked' })
      t.match(locked, { generation: 2, enabled: false, own: { enabled: true } })
      t.equal((await users.revocationsSince(new Date(0))).get(made.id), 2)
      t.match(await accounts.settle(made, STANDING), { generation: 3, enabled: true })
      await users.delete('dora')
      t.equal(await accounts.settle(made, STANDING), undefined, 'who was deleted meanwhile stays so')
    },
  )

  await t.test(
    'a standing is of the account that was asked about, not of who has its username now',
    async (t) => {
      const { users, accounts } = await build(db)
      const old = await accounts.create('dora', STANDING)
      if (old === undefined) throw new Error('dora was not made')
      await users.delete('dora')
      const other = await accounts.create('dora', STANDING)
      t.not(other?.id, old.id)
      t.equal(await accounts.settle(old, { ...STANDING, state: 'locked' }), undefined)
      t.match(await users.findByUsername('dora'), {
        id: other?.id,
        enabled: true,
        generation: 1,
        standing: STANDING,
      })
      await users.change('dora', { directory: false, password: 'of-our-own', standing: undefined })
      if (other !== undefined)
        t.equal(await accounts.settle(other, { ...STANDING, state: 'locked' }), undefined)
      t.match(await users.findByUsername('dora'), { directory: false, enabled: true, standing: undefined })
    },
  )

  await t.test('administrators change their part alone', async (t) => {
    const { users, accounts } = await build(db)
    await accounts.create('dora', STANDING)
    const changed = await users.change('dora', { namespaces: ['lab'] })
    t.match(changed, {
      user: { namespaces: ['lab', 'team'], own: { namespaces: ['lab'] }, standing: STANDING },
    })
    const left = await users.change('dora', { directory: false, password: 'of-our-own', standing: undefined })
    t.match(left, { user: { directory: false, namespaces: ['lab'], standing: undefined } })
    const entered = await users.change('dora', { directory: true, password: null, standing: STANDING })
    t.match(entered, { user: { directory: true, namespaces: ['lab', 'team'] } })
    t.match(await users.findByUsername('dora'), { passwordHash: null })
  })

  await t.test('whom groups make an administrator does not count as the last one', async (t) => {
    const { users, accounts } = await build(db)
    await accounts.create('dora', { ...STANDING, role: 'cluster-administrator' })
    t.strictSame(await users.delete('root'), { refused: 'last-administrator' })
    t.match(await users.delete('dora'), { user: { username: 'dora' } })
  })

  await t.test('those who are due are given out once, the longest ago first', async (t) => {
    const { accounts } = await build(db)
    const now = Date.now()
    const ago = (ms: number) => new Date(now - ms)
    for (const [name, hours] of [
      ['anna', 3],
      ['bert', 5],
      ['cleo', 4],
      ['dora', 1],
    ] as const) {
      const made = await accounts.create(name, STANDING)
      if (made !== undefined) await accounts.release([made], ago(hours * HOUR))
    }
    const claim = (limit: number) => accounts.claim(ago(2 * HOUR), ago(HOUR), limit)
    const names = (page: readonly { username: string }[]) => page.map(({ username }) => username).toSorted()
    const first = await claim(2)
    t.strictSame(names(first), ['bert', 'cleo'])
    t.strictSame(names(await claim(2)), ['anna'])
    t.strictSame(await claim(2), [])
    t.strictSame(
      names(await accounts.claim(ago(HOUR - 1), ago(0), 9)),
      ['anna', 'bert', 'cleo', 'dora'],
      'their lease has ended',
    )
    await accounts.release(first, null)
    t.strictSame(
      names(await accounts.claim(new Date(now + HOUR), ago(0), 9)),
      ['anna', 'dora'],
      'nothing to ask about',
    )
  })
}

await onBothDatabases(t, testAccounts)
