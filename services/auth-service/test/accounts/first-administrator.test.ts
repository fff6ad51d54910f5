import t from 'tap'
import { onBothDatabases } from '@registry-manager/testing/both-databases'
import { createAccounts } from '../../src/accounts/index.ts'
import { fakeHasher, planUser } from '../fixtures/accounts.ts'

const PASSWORD = 'the-first-password'

await onBothDatabases(t, async (t, db) => {
  const users = createAccounts(db, fakeHasher)
  const ensure = (password: () => string | undefined = () => PASSWORD) =>
    users.ensureFirstAdministrator('root', password)
  t.beforeEach(() => db.deleteFrom('accounts').execute())

  t.test('the first administrator is created if there is none', async (t) => {
    t.strictSame(await ensure(), { outcome: 'created' })
    t.match(await users.find('root'), {
      role: 'cluster-administrator',
      enabled: true,
      directory: false,
      passwordHash: `hash of ${PASSWORD}`,
    })
  })

  t.test('no administrator is created if there is one with any name', async (t) => {
    await users.create(planUser('boss', { role: 'cluster-administrator' }))
    const calls: string[] = []
    t.strictSame(await ensure(() => void calls.push('password')), { outcome: 'exists' })
    t.same(calls, [], 'no password is generated')
    t.equal(await users.count(), 1)
  })

  t.test('an administrator is created if all existing ones are disabled', async (t) => {
    await users.create(planUser('boss', { role: 'cluster-administrator', enabled: false }))
    t.strictSame(await ensure(), { outcome: 'created' })
  })

  t.test('the first administrator is not created with a missing or invalid password', async (t) => {
    for (const [password, reason] of [
      [undefined, /set ADMIN_PASSWORD/],
      ['short', /^ADMIN_PASSWORD must be 8/],
      ['x'.repeat(1025), /^ADMIN_PASSWORD must be 8/],
    ] as const) {
      t.match(await ensure(() => password), { outcome: 'impossible', reason })
    }
    t.equal(await users.count(), 0)
  })

  t.test('a user with the name of the first administrator is not promoted', async (t) => {
    await users.create(planUser('root'))
    t.match(await ensure(), { outcome: 'impossible', reason: /set ADMIN_USERNAME/ })
    t.match(await users.find('root'), { role: 'user' })
  })

  t.test('replicas that start at the same time create one administrator', async (t) => {
    const outcomes = await Promise.all(Array.from({ length: 5 }, () => ensure()))
    t.equal(outcomes.filter(({ outcome }) => outcome === 'created').length, 1)
    t.equal(outcomes.filter(({ outcome }) => outcome === 'exists').length, 4)
    t.equal(await users.count(), 1)
  })
})
