import t from 'tap'
import { NOBODY, PASSWORDS, WRONG, connectPatiently } from './harness/people.ts'
import { person, sambaIsMissing, startSamba } from './harness/samba.ts'
import { replace, settingsFor } from './harness/test-directory.ts'

t.test('Active Directory', { skip: await sambaIsMissing() }, async (t) => {
  const directory = await startSamba(t)
  await directory.addUsers(PASSWORDS)
  await directory.addGroup('developers', [directory.personDn('alice')])
  const settings = settingsFor(directory)
  const { personDn, groupDn } = directory

  await t.test('names with all sorts of characters are found, each for itself', async (t) => {
    const names = ['p(a)r', 'am&p', 'ünï', 'c!d~e', 'do.t-$']
    const dnOf = (at: number) => String.raw`CN=Person\, ${at} (${at}),CN=Users,${directory.baseDn}`
    await directory.apply(names.map((name, at) => person(dnOf(at), name, `Password-of-${at}`)).join(''))
    const { find, verify } = connectPatiently(t, settings)
    for (const [at, name] of names.entries()) {
      t.match(await find(name), { outcome: 'found', entry: { dn: dnOf(at) } }, name)
      t.match(await verify(name, `Password-of-${at}`), { outcome: 'verified' }, name)
      t.match(await verify(name, `Password-of-${at + 1}`), { outcome: 'wrong-password' }, name)
    }
  })

  await t.test('two of one name: neither', async (t) => {
    for (const name of ['alice', 'carol'])
      await directory.apply(replace(personDn(name), 'mail', 'us@example.com'))
    const byMail = { ...settings, DIRECTORY_USER_FILTER: '(&(objectClass=user)(mail={username}))' }
    const { find, verify } = connectPatiently(t, byMail)
    t.strictSame(await find('us@example.com'), { outcome: 'ambiguous' })
    for (const password of [PASSWORDS.alice, PASSWORDS.carol])
      t.match(await verify('us@example.com', password), {
        outcome: 'barred',
        lookup: { outcome: 'ambiguous' },
      })
  })

  await t.test('groups within groups, in the same one search', async (t) => {
    await directory.addGroup('inner', [personDn('carol')])
    await directory.addGroup('middle', [groupDn('inner')])
    await directory.addGroup('outer (all)', [groupDn('middle')])
    // Groups that contain each other are no endless loop.
    await directory.addMember('inner', groupDn('outer (all)'))
    const DIRECTORY_GROUP_MAP = JSON.stringify({
      [groupDn('OUTER (all)')]: { namespaces: ['team'] },
      [groupDn('developers')]: { namespaces: ['other'] },
    })
    const { verify, count } = connectPatiently(t, { ...settings, DIRECTORY_GROUP_MAP })
    const groups = [groupDn('outer (all)').toLowerCase()]
    t.match(await verify('carol', PASSWORDS.carol), { entry: { groups } }, 'by two searches for a newcomer')
    t.equal(count('search ok'), 2)
    t.match(await verify('carol', PASSWORDS.carol, personDn('carol')), { entry: { groups } })
    t.equal(count('search ok'), 3)
    await directory.removeMember('middle', groupDn('inner'))
    t.strictSame(
      ((await verify('carol', PASSWORDS.carol, personDn('carol'))) as { entry: { groups: unknown } }).entry
        .groups,
      [],
    )
  })

  await t.test('bound by a principal name', async (t) => {
    const { DIRECTORY_BIND_DN: _dn, DIRECTORY_BIND_PASSWORD: _password, ...others } = settings
    const { verify, count } = connectPatiently(t, {
      ...others,
      DIRECTORY_BIND_TEMPLATE: '{username}@example.com',
    })
    t.match(await verify('alice', PASSWORDS.alice), {
      outcome: 'verified',
      entry: { dn: personDn('alice') },
    })
    t.strictSame([count('bind ok'), count('search ok')], [1, 1])
    t.match(await verify('alice', WRONG), { outcome: 'wrong-password', sure: false })
    for (const name of NOBODY)
      t.not((await verify(name, PASSWORDS.alice)).outcome, 'verified', JSON.stringify(name))

    // Erin's principal name is Dave's account name: the one's password must not open the other's account.
    await directory.addUsers({ dave: 'Password-of-dave-1', erin: 'Password-of-erin-1' })
    for (const [name, principal] of [
      ['dave', 'david'],
      ['erin', 'dave'],
    ] as const) {
      await directory.apply(replace(personDn(name), 'userPrincipalName', `${principal}@corp.example`))
    }
    const corp = connectPatiently(t, { ...others, DIRECTORY_BIND_TEMPLATE: '{username}@corp.example' })
    for (const password of ['Password-of-dave-1', 'Password-of-erin-1'])
      t.not((await corp.verify('dave', password)).outcome, 'verified')
    t.equal(corp.count('bind ok'), 1, 'although the directory took the one password')
  })
})
