import t from 'tap'
import type { Database } from '@registry-manager/database'
import type { Test } from 'tap'
import { onBothDatabases } from '@registry-manager/testing/both-databases'
import { createDirectoryAccounts } from '../../src/directory/directory-accounts.ts'
import { createDirectoryAccountsRepository } from '../../src/directory/directory-accounts-repository.ts'
import { createAccounts } from '../../src/accounts/index.ts'
import { DIRECTORY } from '../../src/access/group.ts'
import { createAccess } from '../../src/access/index.ts'
import type { Account, DirectoryState } from '../../src/principals/account.ts'
import { fakeHasher, planUser } from '../fixtures/accounts.ts'

const STATE: DirectoryState = { dn: 'CN=x', state: 'active', role: null, namespaces: ['team'] }
const HOUR = 3_600_000

async function build(db: Database) {
  await db.deleteFrom('accounts').execute()
  await db.deleteFrom('revocations').execute()
  const users = createAccounts(db, fakeHasher)
  await users.create(planUser('root', { role: 'cluster-administrator' }))
  const repository = createDirectoryAccountsRepository(db)
  const { setReadAt } = repository
  const access = createAccess({ db, now: Date.now, onRevoked: () => {} })
  const setMemberships = (account: Account, names: readonly string[]) =>
    access.setExternalMemberships(account, DIRECTORY, names)
  const accounts = createDirectoryAccounts({ ...users, setReadAt, setMemberships, now: Date.now })
  return { users, repository, accounts }
}

async function testAccounts(t: Test, db: Database) {
  await t.test(
    'a user has the grants of groups that the groups in the directory are mapped to',
    async (t) => {
      const { accounts } = await build(db)
      const insert = async (name: string, mapped: string) => {
        const group = await db.insertInto('groups').values({ name }).returning('id').executeTakeFirstOrThrow()
        const mapping = { group_id: group.id, source: DIRECTORY, name: mapped }
        await db.insertInto('group_mappings').values(mapping).execute()
        const grant = {
          namespace: 'team',
          group_id: group.id,
          repositories: `team/${name}`,
          role: 'reader',
        } as const
        await db.insertInto('grants').values(grant).execute()
      }
      await insert('by-dn', 'cn=dev,ou=groups,dc=x')
      await insert('by-cn', 'cn=ops')
      const dora = await accounts.create('dora', STATE)
      if (dora === undefined) throw new Error('dora was not created')
      const groups = ['cn=dev,ou=groups,dc=x', 'cn=ops,ou=groups,dc=x']
      const member = await accounts.setGroups(dora, groups)
      t.strictSame(member?.grants.map(({ repositories }) => repositories).toSorted(), [
        'team/by-cn',
        'team/by-dn',
      ])
      t.equal(member?.generation, dora.generation + 1)
      if (member === undefined) throw new Error('dora is gone')
      t.equal(await accounts.setGroups(member, groups), member, 'nothing has changed')
      const left = await accounts.setGroups(member, groups.slice(1))
      t.match(left, { generation: member.generation + 1, grants: [{ repositories: 'team/by-cn' }] })
      await db.deleteFrom('groups').execute()
    },
  )

  await t.test(
    'an account that is created has the directory state and the rights that it gives',
    async (t) => {
      const { users, accounts } = await build(db)
      const role = 'administrator' as const
      const made = await accounts.create('dora', { ...STATE, role })
      const own = { role: 'user', enabled: true, namespaces: [] } as const
      const expected = { directory: true, passwordHash: null, role, namespaces: ['team'], own }
      t.match(made, { ...expected, directoryState: { ...STATE, role } })
      t.strictSame(await users.find({ id: made?.id ?? '' }), made)
      t.match(await users.list(0, 9), [{ username: 'dora', namespaces: ['team'] }, { username: 'root' }])
      t.strictSame(
        await accounts.create('root', STATE),
        await users.find('root'),
        'the account that has the name already',
      )
    },
  )

  await t.test('a changed directory state revokes tokens if the effective rights change', async (t) => {
    const { users, accounts } = await build(db)
    const made = await accounts.create('dora', STATE)
    if (made === undefined) throw new Error('dora was not created')
    const moved = await accounts.save(made, { ...STATE, dn: 'CN=y' })
    t.match(moved, { generation: 1, directoryState: { dn: 'CN=y' } })
    t.equal((await users.revocationsSince(new Date(0))).generations.size, 0)
    const locked = await accounts.save(made, { ...STATE, state: 'locked' })
    t.match(locked, { generation: 2, enabled: false, own: { enabled: true } })
    t.equal((await users.revocationsSince(new Date(0))).generations.get(made.id), 2)
    t.match(await accounts.save(made, STATE), { generation: 3, enabled: true })
    await users.delete('dora')
    t.equal(await accounts.save(made, STATE), undefined, 'a deleted account is not created again')
  })

  await t.test(
    'a directory state is saved to the account that was looked up, not to a new one with its username',
    async (t) => {
      const { users, accounts } = await build(db)
      const old = await accounts.create('dora', STATE)
      if (old === undefined) throw new Error('dora was not created')
      await users.delete('dora')
      const other = await accounts.create('dora', STATE)
      t.not(other?.id, old.id)
      t.equal(await accounts.save(old, { ...STATE, state: 'locked' }), undefined)
      t.match(await users.find('dora'), {
        id: other?.id,
        enabled: true,
        generation: 1,
        directoryState: STATE,
      })
      await users.change('dora', { directory: false, password: 'of-our-own', directoryState: undefined })
      if (other !== undefined) t.equal(await accounts.save(other, { ...STATE, state: 'locked' }), undefined)
      t.match(await users.find('dora'), { directory: false, enabled: true, directoryState: undefined })
    },
  )

  await t.test('a change by an administrator leaves the rights that the directory gives', async (t) => {
    const { users, accounts } = await build(db)
    await accounts.create('dora', STATE)
    const changed = await users.change('dora', { namespaces: ['lab'] })
    t.match(changed, {
      user: { namespaces: ['lab', 'team'], own: { namespaces: ['lab'] }, directoryState: STATE },
    })
    const left = await users.change('dora', {
      directory: false,
      password: 'of-our-own',
      directoryState: undefined,
    })
    t.match(left, { user: { directory: false, namespaces: ['lab'], directoryState: undefined } })
    const entered = await users.change('dora', { directory: true, password: null, directoryState: STATE })
    t.match(entered, { user: { directory: true, namespaces: ['lab', 'team'] } })
    t.match(await users.find('dora'), { passwordHash: null })
  })

  await t.test('a cluster administrator by group does not count as the last one', async (t) => {
    const { users, accounts } = await build(db)
    await accounts.create('dora', { ...STATE, role: 'cluster-administrator' })
    t.strictSame(await users.delete('root'), { refused: 'last-administrator' })
    t.match(await users.delete('dora'), { user: { username: 'dora' } })
  })

  await t.test(
    'a claim returns the accounts that are due, the oldest first, and each of them once',
    async (t) => {
      const { accounts, repository } = await build(db)
      const now = Date.now()
      const ago = (ms: number) => new Date(now - ms)
      for (const [name, hours] of [
        ['anna', 3],
        ['bert', 5],
        ['cleo', 4],
        ['dora', 1],
      ] as const) {
        const made = await accounts.create(name, STATE)
        if (made !== undefined) await repository.setReadAt([made.id], ago(hours * HOUR))
      }
      const claim = (limit: number) => repository.claim(ago(2 * HOUR), ago(HOUR), limit)
      const names = (page: readonly { username: string }[]) => page.map(({ username }) => username).toSorted()
      const first = await claim(2)
      t.strictSame(names(first), ['bert', 'cleo'])
      t.strictSame(names(await claim(2)), ['anna'])
      t.strictSame(await claim(2), [])
      t.strictSame(
        names(await repository.claim(ago(HOUR - 1), ago(0), 9)),
        ['anna', 'bert', 'cleo', 'dora'],
        'after the lease',
      )
      await repository.setReadAt(
        first.map(({ id }) => id),
        null,
      )
      t.strictSame(
        names(await repository.claim(new Date(now + HOUR), ago(0), 9)),
        ['anna', 'dora'],
        'an account that is not to be read again is never due',
      )
    },
  )
}

await onBothDatabases(t, testAccounts)
