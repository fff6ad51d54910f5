import { onBothDatabases } from '@registry-manager/testing/both-databases'
import t from 'tap'
import { createAccounts } from '../../src/accounts/index.ts'
import { createDirectoryAccounts } from '../../src/directory/directory-accounts.ts'
import type { DirectoryState } from '../../src/principals/account.ts'
import { fakeHasher, planUser } from '../fixtures/accounts.ts'

const STATE: DirectoryState = { dn: 'CN=x', state: 'active', role: 'administrator', namespaces: ['team'] }
const SERVICE = {
  principal_kind: 'service',
  principal_id: null,
  principal_name: 'auth-service',
  address: null,
  request_id: null,
  outcome: 'done',
} as const

await onBothDatabases(t, async (t, db) => {
  const users = createAccounts(db, fakeHasher)
  const directory = createDirectoryAccounts({
    ...users,
    setReadAt: async () => {},
    setMemberships: async () => false,
    now: Date.now,
  })
  /** The events since the last call. */
  let seen = 0
  const added = async () => {
    const all = await db.selectFrom('events').selectAll().orderBy('id').execute()
    return all.slice(seen, (seen = all.length))
  }

  await t.test('the service records that it created the first administrator', async (t) => {
    const ensure = () => users.ensureFirstAdministrator('root', () => 'the-first-password')
    t.match(await ensure(), { outcome: 'created' })
    const [event, ...others] = await added()
    t.match(event, { ...SERVICE, action: 'user.create', account_name: 'root' })
    t.strictSame(event?.detail, {
      ad: false,
      role: 'cluster-administrator',
      enabled: true,
      namespaces: [],
      cause: 'first-administrator',
    })
    t.match(await ensure(), { outcome: 'exists' })
    t.same([...others, ...(await added())], [], 'it is recorded once')
  })

  await t.test('rights that the directory gives and takes are recorded with their cause', async (t) => {
    const created = await directory.create('dora', STATE)
    if (created === undefined) throw new Error('dora was not created')
    await directory.save(created, { ...STATE, role: null, namespaces: ['lab', 'team'] })
    await directory.save(created, { dn: null, state: 'gone', role: null, namespaces: [] })
    const events = await added()
    for (const event of events) t.match(event, { ...SERVICE, account_name: 'dora', account_id: created.id })
    t.strictSame(
      events.map(({ action, detail }) => [action, detail]),
      [
        [
          'user.create',
          { ad: true, role: 'administrator', enabled: true, namespaces: ['team'], cause: 'directory' },
        ],
        [
          'user.update',
          {
            role: { from: 'administrator', to: 'user' },
            namespaces: { from: ['team'], to: ['lab', 'team'] },
            cause: 'directory',
          },
        ],
        [
          'user.update',
          {
            enabled: { from: true, to: false },
            namespaces: { from: ['lab', 'team'], to: [] },
            directoryState: { from: 'active', to: 'gone' },
            cause: 'directory',
          },
        ],
      ],
    )
  })

  await t.test('a directory state that changes no right has no event', async (t) => {
    const dora = await users.find('dora')
    if (dora?.directoryState === undefined) throw new Error('dora is not a directory user')
    await directory.save(dora, { ...dora.directoryState, dn: 'CN=moved' })
    await directory.touch(dora)
    await users.expireSessions({ id: dora.id })
    t.same(await added(), [])
  })

  await t.test('a right that a group gives as well has an event if an administrator gives it', async (t) => {
    const dora = await users.find('dora')
    if (dora === undefined) throw new Error('there is no dora')
    await directory.save(dora, STATE)
    await added()
    await users.change('dora', { role: 'administrator' })
    t.match(await added(), [
      { action: 'user.update', detail: { role: { from: 'user', to: 'administrator' } } },
    ])
  })

  await t.test('a command is the principal of its changes', async (t) => {
    await users.create(planUser('jane'))
    await added()
    const principal = { kind: 'command', id: null, name: 'reset-password' } as const
    await createAccounts(db, fakeHasher, principal).resetPassword({ username: 'jane' })
    const [event, ...others] = await added()
    t.match(event, {
      action: 'user.password',
      principal_kind: 'command',
      principal_name: 'reset-password',
      account_name: 'jane',
      address: null,
    })
    t.same(others, [])
  })
})
