import t from 'tap'
import { startFaultyProxy } from './harness/faulty-proxy.ts'
import { UNKNOWN_NAMES, PASSWORDS, WRONG_PASSWORD, connectWithRetries } from './harness/directory-users.ts'
import { userRecord, slapdIsMissing, startSlapd } from './harness/slapd.ts'
import { record, replace, settingsFor } from './harness/test-directory.ts'

t.test('users sign in with OpenLDAP', { skip: await slapdIsMissing() }, async (t) => {
  const directory = await startSlapd(t)
  await directory.addUsers(PASSWORDS)
  const settings = settingsFor(directory)

  await t.test('OpenLDAP: each user with special characters in the name is found', async (t) => {
    const names = ['st*r', 'p)(q', 'back\\slash', 'comma,plus+', 'ünï-✱', '#sharp', 'a"b<c>d;e=f', '*']
    const dnOf = (at: number) => `uid=person-${at},ou=people,${directory.baseDn}`
    await directory.apply(
      names
        .map((name, at) =>
          userRecord(dnOf(at), name, `Password-${at}`).replace(/^uid::/m, `uid: person-${at}\nuid::`),
        )
        .join(''),
    )
    const { find, verify } = connectWithRetries(t, settings)
    for (const [at, name] of names.entries()) {
      t.match(await find(name), { outcome: 'found', entry: { dn: dnOf(at) } }, name)
      t.match(await verify(name, `Password-${at}`), { outcome: 'verified' }, name)
      t.match(await verify(name, `Password-${at + 1}`), { outcome: 'wrong-password' }, name)
    }
  })

  await t.test('OpenLDAP: referrals are not followed', async (t) => {
    const elsewhere = await startFaultyProxy(t, directory)
    await directory.apply(
      record(`ou=elsewhere,${directory.baseDn}`, [
        'changetype: add',
        'objectClass: referral',
        'objectClass: extensibleObject',
        `ref: ldap://${elsewhere.host}:${elsewhere.port}/${directory.baseDn}`,
      ]),
    )
    const { find } = connectWithRetries(t, settings)
    t.match(await find('carol'), { outcome: 'found' })
    t.strictSame(await find('nobody'), { outcome: 'gone' })
    t.equal(elsewhere.opened, 0)
  })

  await t.test('OpenLDAP: a name that two entries have matches neither', async (t) => {
    const twin = `uid=carol,ou=groups,${directory.baseDn}`
    await directory.apply(userRecord(twin, 'carol', PASSWORDS.carol))
    const { find, verify } = connectWithRetries(t, settings)
    t.strictSame(await find('carol'), { outcome: 'ambiguous' })
    t.match(await verify('carol', PASSWORDS.carol), {
      outcome: 'forbidden',
      lookup: { outcome: 'ambiguous' },
    })
  })

  await t.test('OpenLDAP: users bind with a DN from a template', async (t) => {
    const { DIRECTORY_BIND_DN: _dn, DIRECTORY_BIND_PASSWORD: _password, ...others } = settings
    const direct = { ...others, DIRECTORY_BIND_TEMPLATE: `uid={username},ou=people,${directory.baseDn}` }
    const { verify, count } = connectWithRetries(t, direct)
    t.match(await verify('alice', PASSWORDS.alice), {
      outcome: 'verified',
      entry: { dn: directory.userDn('alice') },
    })
    t.match(await verify('alice', PASSWORDS.alice), { outcome: 'verified' })
    t.strictSame([count('bind ok'), count('search ok')], [2, 2])
    t.match(await verify('alice', WRONG_PASSWORD), { outcome: 'wrong-password', sure: false })
    for (const name of UNKNOWN_NAMES)
      t.not((await verify(name, PASSWORDS.alice)).outcome, 'verified', JSON.stringify(name))

    await directory.apply(replace(directory.userDn('alice'), 'mail', 'carol'))
    const { verify: byMail } = connectWithRetries(t, { ...direct, DIRECTORY_USER_FILTER: '(sn={username})' })
    t.match(await byMail('alice', PASSWORDS.alice), { outcome: 'verified' })
    await directory.apply(replace(directory.userDn('alice'), 'sn', 'mallory'))
    const mallory = userRecord(directory.userDn('mallory'), 'mallory', 'Password-of-mallory')
    await directory.apply(mallory.replace(/^sn::.*$/m, 'sn: someone else'))
    const impostor = await byMail('mallory', 'Password-of-mallory')
    t.not(impostor.outcome, 'verified', 'the entry found must be the one that was bound')
  })
})
