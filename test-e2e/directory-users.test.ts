import t from 'tap'
import type { Test } from 'tap'
import { directoryKinds } from './harness/directories.ts'
import { UNKNOWN_NAMES, PASSWORDS, WRONG_PASSWORD, connectWithRetries } from './harness/directory-users.ts'
import type { TestDirectory } from './harness/test-directory.ts'
import { settingsFor } from './harness/test-directory.ts'

/** Tests the behaviour that both kinds of directory have in common. */
async function testUsers(t: Test, directory: TestDirectory) {
  const { userDn } = directory
  await directory.addUsers(PASSWORDS)
  await directory.addGroup('developers', [userDn('alice')])
  const settings = settingsFor(directory)
  const DIRECTORY_GROUP_MAP = JSON.stringify({ [directory.groupDn('developers')]: { namespaces: ['team'] } })
  const connect = (t: Test, change: Record<string, string> = {}) =>
    connectWithRetries(t, { ...settings, DIRECTORY_GROUP_MAP, ...change })

  await t.test('a directory user is found and verified with one search and one bind', async (t) => {
    const { find, verify, count } = connect(t)
    const lookup = await find('alice')
    t.match(lookup, { outcome: 'found', entry: { dn: userDn('alice'), state: 'active' } })
    t.match(await find('ALICE'), lookup, 'names are case-insensitive')
    t.match(await find('bob'), { outcome: 'found', entry: { groups: [] } })
    const [searches, binds] = [count('search ok'), count('bind ok')]
    const verified = await verify('alice', PASSWORDS.alice, userDn('alice'))
    t.match(verified, { outcome: 'verified', entry: { dn: userDn('alice') } })
    t.strictSame([count('search ok') - searches, count('bind ok') - binds], [1, 1])
    t.equal(count('root_dse ok'), 1, 'the kind of the directory is requested once')
    const [group] = lookup.outcome === 'found' ? lookup.entry.groups : []
    t.equal(group, directory.groupDn('developers').toLowerCase())
  })

  await t.test('a wrong password and an empty password are refused by the directory sign-in', async (t) => {
    const { verify, count } = connect(t)
    t.strictSame(await verify('alice', WRONG_PASSWORD), { outcome: 'wrong-password', sure: true })
    t.strictSame(await verify('alice', PASSWORDS.bob), { outcome: 'wrong-password', sure: true })
    const binds = count('bind ok') + count('bind refused')
    for (const password of ['', '\0', `${PASSWORDS.alice}\0`])
      t.match(await verify('alice', password), { outcome: 'wrong-password' })
    t.equal(count('bind ok') + count('bind refused'), binds, 'invalid passwords never reach the directory')
    t.match(await verify('alice', PASSWORDS.alice), { outcome: 'verified' })
  })

  await t.test('names with filter or DN syntax match no directory user', async (t) => {
    const { find, verify, count } = connect(t)
    for (const name of UNKNOWN_NAMES) {
      t.strictSame(await find(name), { outcome: 'gone' }, JSON.stringify(name))
      t.match(await verify(name, PASSWORDS.alice), { outcome: 'forbidden', lookup: { outcome: 'gone' } })
    }
    t.equal(count('bind ok') + count('bind refused'), 0, 'no bind is sent')
  })

  await t.test("a directory user's last known DN is not trusted if another entry has it now", async (t) => {
    const { find } = connect(t)
    t.match(await find('bob', userDn('alice')), { outcome: 'found', entry: { groups: [] } })
    t.match(await find('bob', 'CN=no longer,DC=there'), { outcome: 'found', entry: { dn: userDn('bob') } })
    const moved = await find('alice', userDn('bob'))
    t.match(moved, { entry: { dn: userDn('alice'), groups: [/developers/i] } })
  })

  await t.test('locked, expired, disabled and deleted directory users are refused', async (t) => {
    const { find, verify } = connect(t)
    for (let count = 0; count < directory.lockedAfter; count += 1) {
      t.match(await verify('bob', `${WRONG_PASSWORD}${count}`), { outcome: /wrong-password|forbidden/ })
    }
    const forbidden = (state: string) => ({ outcome: 'forbidden', lookup: { entry: { state } } })
    t.match(await verify('bob', PASSWORDS.bob), forbidden('locked'))
    t.match(await find('bob'), { entry: { state: 'locked' } })
    await directory.expire('bob')
    t.match(await verify('bob', PASSWORDS.bob), forbidden('expired'))
    await directory.disable('bob')
    t.match(await verify('bob', PASSWORDS.bob), forbidden('disabled'))
    await directory.remove('bob')
    t.match(await verify('bob', PASSWORDS.bob), { outcome: 'forbidden', lookup: { outcome: 'gone' } })
  })
}

for (const { name, missing, start } of await directoryKinds()) {
  t.test(`the directory finds and verifies users: ${name}`, { skip: missing }, async (t) =>
    testUsers(t, await start(t)),
  )
}
