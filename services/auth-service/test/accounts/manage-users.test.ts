import t from 'tap'
import { onBothDatabases } from '@registry-manager/testing/both-databases'
import { createAccounts } from '../../src/accounts/index.ts'
import type { UserChange } from '../../src/accounts/plan-user.ts'
import { planUserChange } from '../../src/accounts/plan-user.ts'
import { fakeHasher, planUser } from '../fixtures/accounts.ts'
import { refreshTokensOf } from '../fixtures/refresh-tokens.ts'

const CHANGES: readonly (readonly [why: string, change: UserChange, raises: boolean])[] = [
  ['nothing', {}, false],
  ['the present role', { role: 'user' }, false],
  ['the present status', { enabled: true }, false],
  ['the present namespaces', { namespaces: ['a', 'b'] }, false],
  ['a password', { password: 'another-password' }, true],
  ['the same password', { password: 'a-good-password' }, true],
  ['another role', { role: 'administrator' }, true],
  ['disabled', { enabled: false }, true],
  ['other namespaces', { namespaces: ['a'] }, true],
  ['no namespaces', { namespaces: [] }, true],
  [
    'several fields',
    { enabled: false, role: 'administrator', namespaces: ['c'], password: 'b-password' },
    true,
  ],
]

await onBothDatabases(t, async (t, db) => {
  const users = createAccounts(db, fakeHasher)
  const refreshTokens = refreshTokensOf(db)
  const revocations = async () => (await users.revocationsSince(new Date(0))).generations
  const create = async (username: string, change = {}) => {
    const created = await users.create(planUser(username, change))
    if ('refused' in created) throw new Error(`${username} is refused: ${created.refused}`)
    return created.user
  }
  await create('root', { role: 'cluster-administrator' })

  t.test('a user is created once for each username', async (t) => {
    const user = await create('alice', { namespaces: ['team'] })
    t.match(user, { username: 'alice', role: 'user', enabled: true, namespaces: ['team'], generation: 1 })
    t.match(await users.find('alice'), { passwordHash: 'hash of a-good-password' })
    t.strictSame(await users.create(planUser('alice', { role: 'administrator' })), { refused: 'taken' })
    t.match(await users.find('alice'), { role: 'user' }, 'the existing user is unchanged')
  })

  t.test('the generation rises with every change that revokes tokens and with no other change', async (t) => {
    for (const [at, [why, change, raises]] of CHANGES.entries()) {
      const { id, username, generation } = await create(`user-${at}`, { namespaces: ['a', 'b'] })
      const user = await users.find({ id: id })
      const token = user && (await refreshTokens.issue(user, 's', ''))
      const { password, ...fields } = change
      const changed = await users.change(username, change)
      t.match(changed, { user: { id, ...fields, generation: generation + (raises ? 1 : 0) } }, why)
      t.strictSame(
        await users.find({ id: id }),
        'user' in changed && changed.user,
        'the returned user is the stored one',
      )
      t.equal((await revocations()).get(id), raises ? 2 : undefined, raises ? 'revoked' : 'not revoked')
      t.equal(
        (await refreshTokens.findAccountId(token ?? '', 's')) === undefined,
        raises,
        'refresh tokens are revoked with the generation',
      )
      const kept = await db.selectFrom('refresh_tokens').select('id').where('account_id', '=', id).execute()
      t.equal(kept.length, raises ? 0 : 1, 'the rows of revoked refresh tokens are deleted')
      const hash = `hash of ${password ?? 'a-good-password'}`
      t.match(await users.find({ id: id }), { passwordHash: hash })
    }
  })

  t.test('a change of the password keeps a role that was changed concurrently', async (t) => {
    const current = await create('carol', { role: 'administrator' })
    const planned = planUserChange(current, { password: 'another-password' })
    await users.change('carol', { role: 'user' })
    if ('change' in planned) await users.change('carol', planned.change)
    t.match(await users.find('carol'), { role: 'user', generation: 3 })
  })

  t.test('a change of an account does not apply to a later account of the same username', async (t) => {
    const old = await create('heidi')
    let next = old
    const slow = createAccounts(db, {
      ...fakeHasher,
      // The account is deleted and created again while the password is hashed.
      hash: async (password) => {
        await users.delete('heidi')
        next = await create('heidi')
        return fakeHasher.hash(password)
      },
    })
    const absent = { refused: 'absent' }
    t.strictSame(await slow.change(old, { password: 'another-password' }), absent)
    t.strictSame(await users.endSessions(old), absent)
    t.strictSame(await users.delete(old), absent)
    t.equal(await users.find(old), undefined)
    t.not(next.id, old.id)
    t.match(await users.find(next), { id: next.id, passwordHash: 'hash of a-good-password', generation: 1 })
    t.match(await users.find('heidi'), { id: next.id })
  })

  t.test('a deleted user is gone and its tokens are revoked', async (t) => {
    const { id } = await create('dave')
    t.match(await users.delete('dave'), { user: { id } })
    t.equal(await users.find('dave'), undefined)
    t.equal((await revocations()).get(id), 2, 'its tokens are revoked')
    t.strictSame(await users.delete('dave'), { refused: 'absent' })
    t.not((await create('dave')).id, id, 'a new user of the same name has a new id')
  })

  t.test('the end of sessions raises the generation and leaves the account', async (t) => {
    const before = await create('erin')
    t.strictSame(await users.endSessions('erin'), { user: { ...before, generation: 2 } })
    t.equal((await revocations()).get(before.id), 2)
    await users.endSessions('erin')
    t.equal((await revocations()).get(before.id), 3)
  })

  t.test('changes of an unknown username report that it is absent', async (t) => {
    const absent = { refused: 'absent' }
    t.strictSame(await users.change('nobody', { enabled: false }), absent)
    t.strictSame(await users.delete('nobody'), absent)
    t.strictSame(await users.endSessions('nobody'), absent)
  })

  t.test('each of several concurrent changes of a user raises the generation', async (t) => {
    const { id } = await create('frank')
    await Promise.all(
      Array.from({ length: 12 }, (_, at) => users.change('frank', { namespaces: [`n${at}`] })),
    )
    t.match(await users.find({ id: id }), { generation: 13 })
    t.equal((await revocations()).get(id), 13)
  })

  t.test('one of several concurrent requests gets a username', async (t) => {
    const outcomes = await Promise.all(Array.from({ length: 6 }, () => users.create(planUser('grace'))))
    t.equal(outcomes.filter((outcome) => 'user' in outcome).length, 1)
    t.same(
      outcomes.filter((outcome) => 'refused' in outcome),
      Array.from({ length: 5 }, () => ({ refused: 'taken' })),
    )
  })
})
