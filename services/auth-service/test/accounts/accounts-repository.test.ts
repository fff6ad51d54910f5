import t from 'tap'
import { onBothDatabases } from '@registry-manager/testing/both-databases'
import type { NewAccount } from '../../src/principals/account.ts'
import { createAccountsRepository, createKnownGrants } from '../../src/accounts/accounts-repository.ts'

const UNKNOWN_ID = '00000000-0000-4000-8000-000000000000'
const user = {
  username: 'alice',
  directory: false,
  role: 'user',
  enabled: true,
  namespaces: ['team'],
  passwordHash: 'a hash',
} as const

await onBothDatabases(t, async (t, db) => {
  const accounts = createAccountsRepository(db)
  const insert = async (change: Partial<NewAccount>) => {
    const inserted = await accounts.insert({ ...user, ...change })
    if (inserted === undefined) throw new Error('the username is taken')
    return inserted
  }

  t.test('an inserted account is found by its username and by its id', async (t) => {
    const inserted = await insert(user)
    t.match(inserted, { ...user, id: /^[0-9a-f-]{36}$/, generation: 1 })
    t.ok(inserted.createdAt instanceof Date)
    t.strictSame(await accounts.find('alice'), inserted)
    t.strictSame(await accounts.find({ id: inserted.id }), inserted)
    t.equal(await accounts.find('nobody'), undefined)
    t.equal(await accounts.find({ id: UNKNOWN_ID }), undefined)
    t.equal(await accounts.insert(user), undefined, 'a username has one account')
  })

  t.test('an update writes the given fields and leaves the others', async (t) => {
    const before = await accounts.find('alice')
    t.ok(before)
    if (before === undefined) return
    t.strictSame(await accounts.update(before.id, { namespaces: [] }), { ...before, namespaces: [] })
    t.strictSame(await accounts.update(before.id, { role: 'administrator', enabled: false, generation: 5 }), {
      ...before,
      namespaces: [],
      role: 'administrator',
      enabled: false,
      generation: 5,
    })
    t.match(await accounts.update(before.id, { passwordHash: 'another' }), { passwordHash: 'another' })
    t.match(await accounts.update(before.id, { directory: true, passwordHash: null }), { passwordHash: null })
    await t.rejects(accounts.update(UNKNOWN_ID, { enabled: true }), 'an unknown id is a fault')
  })

  t.test('accounts are listed in pages, sorted by username', async (t) => {
    for (const username of ['zoe', 'bob', 'a_b', 'a-b']) await insert({ username })
    const names = async (offset: number, limit: number) =>
      (await accounts.list(offset, limit)).map(({ username }) => username)
    t.same(await names(0, 50), ['a-b', 'a_b', 'alice', 'bob', 'zoe'])
    t.same(await names(1, 2), ['a_b', 'alice'])
    t.same(await names(4, 2), ['zoe'])
    t.same(await names(5, 2), [])
    t.same(await names(999_999_999_999_999, 50), [], 'an offset far beyond the end')
    t.equal(await accounts.count(), 5)
  })

  t.test('enabled cluster administrators are locked and listed', async (t) => {
    const lock = () => db.transaction().execute((tx) => createAccountsRepository(tx).lockAdministrators())
    const role = 'cluster-administrator'
    t.same(await lock(), [])
    t.same(await accounts.listAdministrators(10), [])
    const [one, other] = [await insert({ username: 'root', role }), await insert({ username: 'boss', role })]
    await insert({ username: 'former', role, enabled: false })
    t.same(await lock(), [one.id, other.id].toSorted())
    t.same(await accounts.listAdministrators(10), ['boss', 'root'])
    t.same(await accounts.listAdministrators(1), ['boss'])
  })
  t.test('grants are read again when the generation is another one, and only then', async (t) => {
    const { id } = await insert({ username: 'granted' })
    const known = createKnownGrants()
    const reader = createAccountsRepository(db, known)
    const repositories = async () => (await reader.find('granted'))?.grants.map((grant) => grant.repositories)
    t.strictSame(await repositories(), [])
    const grant = { namespace: 'team', account_id: id, repositories: 'team/app', role: 'reader' } as const
    await db.insertInto('grants').values(grant).execute()
    t.strictSame(await repositories(), [], 'a change of grants raises the generation, which is the same here')
    await accounts.update(id, { generation: 2 })
    t.strictSame(await repositories(), ['team/app'])
    t.strictSame(await reader.find({ id }), await accounts.find({ id }), 'both say the same')
    t.equal(known.size, 1)
    await accounts.delete(id)
    t.equal(await reader.find('granted'), undefined)
  })
})
