import t from 'tap'
import { UNKNOWN_NAMES, PASSWORDS, WRONG_PASSWORD, connectWithRetries } from './harness/directory-users.ts'
import { userRecord, sambaIsMissing, startSamba } from './harness/samba.ts'
import { replace, settingsFor } from './harness/test-directory.ts'

t.test('users sign in with Active Directory', { skip: await sambaIsMissing() }, async (t) => {
  const directory = await startSamba(t)
  await directory.addUsers(PASSWORDS)
  await directory.addGroup('developers', [directory.userDn('alice')])
  const settings = settingsFor(directory)
  const { userDn, groupDn } = directory

  await t.test('Active Directory: each user with special characters in the name is found', async (t) => {
    const names = ['p(a)r', 'am&p', 'ünï', 'c!d~e', 'do.t-$']
    const dnOf = (at: number) => String.raw`CN=Person\, ${at} (${at}),CN=Users,${directory.baseDn}`
    await directory.apply(names.map((name, at) => userRecord(dnOf(at), name, `Password-of-${at}`)).join(''))
    const { find, verify } = connectWithRetries(t, settings)
    for (const [at, name] of names.entries()) {
      t.match(await find(name), { outcome: 'found', entry: { dn: dnOf(at) } }, name)
      t.match(await verify(name, `Password-of-${at}`), { outcome: 'verified' }, name)
      t.match(await verify(name, `Password-of-${at + 1}`), { outcome: 'wrong-password' }, name)
    }
  })

  await t.test('Active Directory: a name that two entries have matches neither', async (t) => {
    for (const name of ['alice', 'carol'])
      await directory.apply(replace(userDn(name), 'mail', 'us@example.com'))
    const byMail = { ...settings, DIRECTORY_USER_FILTER: '(&(objectClass=user)(mail={username}))' }
    const { find, verify } = connectWithRetries(t, byMail)
    t.strictSame(await find('us@example.com'), { outcome: 'ambiguous' })
    for (const password of [PASSWORDS.alice, PASSWORDS.carol])
      t.match(await verify('us@example.com', password), {
        outcome: 'forbidden',
        lookup: { outcome: 'ambiguous' },
      })
  })

  await t.test('Active Directory: nested groups are resolved in the same search', async (t) => {
    await directory.addGroup('inner', [userDn('carol')])
    await directory.addGroup('middle', [groupDn('inner')])
    await directory.addGroup('outer (all)', [groupDn('middle')])
    // Groups that contain each other cause no endless loop.
    await directory.addMember('inner', groupDn('outer (all)'))
    const DIRECTORY_GROUP_MAP = JSON.stringify({
      [groupDn('OUTER (all)')]: { namespaces: ['team'] },
      [groupDn('developers')]: { namespaces: ['other'] },
    })
    const { verify, count } = connectWithRetries(t, { ...settings, DIRECTORY_GROUP_MAP })
    const groups = [groupDn('outer (all)').toLowerCase()]
    t.match(await verify('carol', PASSWORDS.carol), { entry: { groups } }, 'a new user takes two searches')
    t.equal(count('search ok'), 2)
    t.match(await verify('carol', PASSWORDS.carol, userDn('carol')), { entry: { groups } })
    t.equal(count('search ok'), 3)
    await directory.removeMember('middle', groupDn('inner'))
    t.strictSame(
      ((await verify('carol', PASSWORDS.carol, userDn('carol'))) as { entry: { groups: unknown } }).entry
        .groups,
      [],
    )
  })

  await t.test('Active Directory: users bind with their principal name', async (t) => {
    const { DIRECTORY_BIND_DN: _dn, DIRECTORY_BIND_PASSWORD: _password, ...others } = settings
    const { verify, count } = connectWithRetries(t, {
      ...others,
      DIRECTORY_BIND_TEMPLATE: '{username}@example.com',
    })
    t.match(await verify('alice', PASSWORDS.alice), {
      outcome: 'verified',
      entry: { dn: userDn('alice') },
    })
    t.strictSame([count('bind ok'), count('search ok')], [1, 1])
    t.match(await verify('alice', WRONG_PASSWORD), { outcome: 'wrong-password', sure: false })
    for (const name of UNKNOWN_NAMES)
      t.not((await verify(name, PASSWORDS.alice)).outcome, 'verified', JSON.stringify(name))

    // Erin's principal name is Dave's account name: her password must not open his account.
    await directory.addUsers({ dave: 'Password-of-dave-1', erin: 'Password-of-erin-1' })
    for (const [name, principal] of [
      ['dave', 'david'],
      ['erin', 'dave'],
    ] as const) {
      await directory.apply(replace(userDn(name), 'userPrincipalName', `${principal}@corp.example`))
    }
    const corp = connectWithRetries(t, { ...others, DIRECTORY_BIND_TEMPLATE: '{username}@corp.example' })
    for (const password of ['Password-of-dave-1', 'Password-of-erin-1'])
      t.not((await corp.verify('dave', password)).outcome, 'verified')
    t.equal(corp.count('bind ok'), 1, 'the directory accepted the bind, and the sign-in is refused')
  })
})
