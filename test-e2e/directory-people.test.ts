import t from 'tap'
import type { Test } from 'tap'
import { directoryKinds } from './harness/directories.ts'
import { NOBODY, PASSWORDS, WRONG, connectPatiently } from './harness/people.ts'
import type { TestDirectory } from './harness/test-directory.ts'
import { settingsFor } from './harness/test-directory.ts'

/** What both kinds do alike. */
async function testPeople(t: Test, directory: TestDirectory) {
  const { personDn } = directory
  await directory.addUsers(PASSWORDS)
  await directory.addGroup('developers', [personDn('alice')])
  const settings = settingsFor(directory)
  const DIRECTORY_GROUP_MAP = JSON.stringify({ [directory.groupDn('developers')]: { namespaces: ['team'] } })
  const connect = (t: Test, change: Record<string, string> = {}) =>
    connectPatiently(t, { ...settings, DIRECTORY_GROUP_MAP, ...change })

  await t.test('found, and verified by one search and one bind', async (t) => {
    const { find, verify, count } = connect(t)
    const lookup = await find('alice')
    t.match(lookup, { outcome: 'found', entry: { dn: personDn('alice'), state: 'active' } })
    t.match(await find('ALICE'), lookup, 'names have no case')
    t.match(await find('bob'), { outcome: 'found', entry: { groups: [] } })
    const [searches, binds] = [count('search ok'), count('bind ok')]
    const verified = await verify('alice', PASSWORDS.alice, personDn('alice'))
    t.match(verified, { outcome: 'verified', entry: { dn: personDn('alice') } })
    t.strictSame([count('search ok') - searches, count('bind ok') - binds], [1, 1])
    t.equal(count('root_dse ok'), 1, 'the kind is asked for once')
    const [group] = lookup.outcome === 'found' ? lookup.entry.groups : []
    t.equal(group, directory.groupDn('developers').toLowerCase())
  })

  await t.test('a wrong password, and none', async (t) => {
    const { verify, count } = connect(t)
    t.strictSame(await verify('alice', WRONG), { outcome: 'wrong-password', sure: true })
    t.strictSame(await verify('alice', PASSWORDS.bob), { outcome: 'wrong-password', sure: true })
    const binds = count('bind ok') + count('bind refused')
    for (const password of ['', '\0', `${PASSWORDS.alice}\0`])
      t.match(await verify('alice', password), { outcome: 'wrong-password' })
    t.equal(count('bind ok') + count('bind refused'), binds, 'which never reach the directory')
    t.match(await verify('alice', PASSWORDS.alice), { outcome: 'verified' })
  })

  await t.test('nobody is found by a name that is nobody’s', async (t) => {
    const { find, verify, count } = connect(t)
    for (const name of NOBODY) {
      t.strictSame(await find(name), { outcome: 'gone' }, JSON.stringify(name))
      t.match(await verify(name, PASSWORDS.alice), { outcome: 'barred', lookup: { outcome: 'gone' } })
    }
    t.equal(count('bind ok') + count('bind refused'), 0, 'and nobody is bound')
  })

  await t.test('a name that was known is not taken for somebody else’s', async (t) => {
    const { find } = connect(t)
    t.match(await find('bob', personDn('alice')), { outcome: 'found', entry: { groups: [] } })
    t.match(await find('bob', 'CN=no longer,DC=there'), { outcome: 'found', entry: { dn: personDn('bob') } })
    const moved = await find('alice', personDn('bob'))
    t.match(moved, { entry: { dn: personDn('alice'), groups: [/developers/i] } })
  })

  await t.test('locked, expired, disabled, gone', async (t) => {
    const { find, verify } = connect(t)
    for (let count = 0; count < directory.lockedAfter; count += 1) {
      t.match(await verify('bob', `${WRONG}${count}`), { outcome: /wrong-password|barred/ })
    }
    const barred = (state: string) => ({ outcome: 'barred', lookup: { entry: { state } } })
    t.match(await verify('bob', PASSWORDS.bob), barred('locked'))
    t.match(await find('bob'), { entry: { state: 'locked' } })
    await directory.expire('bob')
    t.match(await verify('bob', PASSWORDS.bob), barred('expired'))
    await directory.disable('bob')
    t.match(await verify('bob', PASSWORDS.bob), barred('disabled'))
    await directory.remove('bob')
    t.match(await verify('bob', PASSWORDS.bob), { outcome: 'barred', lookup: { outcome: 'gone' } })
  })
}

for (const { name, missing, start } of await directoryKinds()) {
  t.test(name, { skip: missing }, async (t) => testPeople(t, await start(t)))
}
