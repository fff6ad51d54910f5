import t from 'tap'
import { startFaultyProxy } from './harness/faulty-proxy.ts'
import { NOBODY, PASSWORDS, WRONG, connectPatiently } from './harness/people.ts'
import { person, slapdIsMissing, startSlapd } from './harness/slapd.ts'
import { record, replace, settingsFor } from './harness/test-directory.ts'

t.test('OpenLDAP', { skip: await slapdIsMissing() }, async (t) => {
  const directory = await startSlapd(t)
  await directory.addUsers(PASSWORDS)
  const settings = settingsFor(directory)

  await t.test('names with all sorts of characters are found, each for itself', async (t) => {
    const names = ['st*r', 'p)(q', 'back\\slash', 'comma,plus+', 'ünï-✱', '#sharp', 'a"b<c>d;e=f', '*']
    const dnOf = (at: number) => `uid=person-${at},ou=people,${directory.baseDn}`
    await directory.apply(
      names
        .map((name, at) =>
          person(dnOf(at), name, `Password-${at}`).replace(/^uid::/m, `uid: person-${at}\nuid::`),
        )
        .join(''),
    )
    const { find, verify } = connectPatiently(t, settings)
    for (const [at, name] of names.entries()) {
      t.match(await find(name), { outcome: 'found', entry: { dn: dnOf(at) } }, name)
      t.match(await verify(name, `Password-${at}`), { outcome: 'verified' }, name)
      t.match(await verify(name, `Password-${at + 1}`), { outcome: 'wrong-password' }, name)
    }
  })

  await t.test('referrals are not followed', async (t) => {
    const elsewhere = await startFaultyProxy(t, directory)
    await directory.apply(
      record(`ou=elsewhere,${directory.baseDn}`, [
        'changetype: add',
        'objectClass: referral',
        'objectClass: extensibleObject',
        `ref: ldap://${elsewhere.host}:${elsewhere.port}/${directory.baseDn}`,
      ]),
    )
    const { find } = connectPatiently(t, settings)
    t.match(await find('carol'), { outcome: 'found' })
    t.strictSame(await find('nobody'), { outcome: 'gone' })
    t.equal(elsewhere.opened, 0)
  })

  await t.test('two of one name: neither', async (t) => {
    const twin = `uid=carol,ou=groups,${directory.baseDn}`
    await directory.apply(person(twin, 'carol', PASSWORDS.carol))
    const { find, verify } = connectPatiently(t, settings)
    t.strictSame(await find('carol'), { outcome: 'ambiguous' })
    t.match(await verify('carol', PASSWORDS.carol), { outcome: 'barred', lookup: { outcome: 'ambiguous' } })
  })

  await t.test('bound by a template', async (t) => {
    const { DIRECTORY_BIND_DN: _dn, DIRECTORY_BIND_PASSWORD: _password, ...others } = settings
    const direct = { ...others, DIRECTORY_BIND_TEMPLATE: `uid={username},ou=people,${directory.baseDn}` }
    const { verify, count } = connectPatiently(t, direct)
    t.match(await verify('alice', PASSWORDS.alice), {
      outcome: 'verified',
      entry: { dn: directory.personDn('alice') },
    })
    t.match(await verify('alice', PASSWORDS.alice), { outcome: 'verified' })
    t.strictSame([count('bind ok'), count('search ok')], [2, 2])
    t.match(await verify('alice', WRONG), { outcome: 'wrong-password', sure: false })
    for (const name of NOBODY)
      t.not((await verify(name, PASSWORDS.alice)).outcome, 'verified', JSON.stringify(name))

    await directory.apply(replace(directory.personDn('alice'), 'mail', 'carol'))
    const { verify: byMail } = connectPatiently(t, { ...direct, DIRECTORY_USER_FILTER: '(sn={username})' })
    t.match(await byMail('alice', PASSWORDS.alice), { outcome: 'verified' })
    await directory.apply(replace(directory.personDn('alice'), 'sn', 'mallory'))
    const mallory = person(directory.personDn('mallory'), 'mallory', 'Password-of-mallory')
    await directory.apply(mallory.replace(/^sn::.*$/m, 'sn: someone else'))
    const impostor = await byMail('mallory', 'Password-of-mallory')
    t.not(impostor.outcome, 'verified', 'whoever is found must be who has bound')
  })
})
