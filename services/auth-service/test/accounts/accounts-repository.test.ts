import { isUniqueViolation } from '@registry-manager/database'
import t from 'tap'
import { onBothDatabases } from '@registry-manager/testing/both-databases'
import { createAccountsRepository } from '../../src/accounts/accounts-repository.ts'

const NOBODY = '00000000-0000-4000-8000-000000000000'
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

  t.test('an account is found as it was put there', async (t) => {
    const inserted = await accounts.insert(user)
    t.match(inserted, { ...user, id: /^[0-9a-f-]{36}$/, generation: 1 })
    t.ok(inserted.createdAt instanceof Date)
    t.strictSame(await accounts.findByUsername('alice'), inserted)
    t.strictSame(await accounts.findById(inserted.id), inserted)
    t.equal(await accounts.findByUsername('nobody'), undefined)
    t.equal(await accounts.findById(NOBODY), undefined)
    const taken = await accounts.insert(user).catch((error: unknown) => error)
    t.ok(isUniqueViolation(taken), 'a name is one account')
  })

  t.test('a change writes what it names and leaves the rest', async (t) => {
    const before = await accounts.findByUsername('alice')
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
    await t.rejects(accounts.update(NOBODY, { enabled: true }), 'of nobody there is nothing to change')
  })

  t.test('pages by name', async (t) => {
    for (const username of ['zoe', 'bob', 'a_b', 'a-b']) await accounts.insert({ ...user, username })
    const names = async (offset: number, limit: number) =>
      (await accounts.list(offset, limit)).map(({ username }) => username)
    t.same(await names(0, 50), ['a-b', 'a_b', 'alice', 'bob', 'zoe'])
    t.same(await names(1, 2), ['a_b', 'alice'])
    t.same(await names(4, 2), ['zoe'])
    t.same(await names(5, 2), [])
    t.same(await names(999_999_999_999_999, 50), [], 'far beyond the end')
    t.equal(await accounts.count(), 5)
  })

  t.test('the administrators of whom there must be one', async (t) => {
    const role = 'cluster-administrator'
    t.same(await db.transaction().execute((tx) => createAccountsRepository(tx).lockAdministrators()), [])
    const [one, other] = [
      await accounts.insert({ ...user, username: 'root', role }),
      await accounts.insert({ ...user, username: 'boss', role }),
    ]
    await accounts.insert({ ...user, username: 'former', role, enabled: false })
    const found = await db.transaction().execute((tx) => createAccountsRepository(tx).lockAdministrators())
    t.same(found, [one.id, other.id].toSorted())
  })

  t.test('revocations', async (t) => {
    const { id } = await accounts.insert({ ...user, username: 'eve' })
    const hourAgo = new Date(Date.now() - 3600_000)
    t.same(await accounts.revocationsSince(hourAgo), new Map())
    await accounts.revoke(id, 2)
    await accounts.revoke(NOBODY, 7)
    await accounts.revoke(id, 3)
    t.same(
      await accounts.revocationsSince(hourAgo),
      new Map([
        [id, 3],
        [NOBODY, 7],
      ]),
      'the last one of each account, there or not',
    )
    await accounts.remove(id)
    t.equal((await accounts.revocationsSince(hourAgo)).get(id), 3, 'they outlive the account')
    t.same(
      await accounts.revocationsSince(new Date(Date.now() + 60_000)),
      new Map(),
      'of later there are none',
    )
  })
})
