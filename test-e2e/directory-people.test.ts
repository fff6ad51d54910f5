import t from 'tap'
import type { Test } from 'tap'
import { connectForTest, patient } from './harness/connected-directory.ts'
import { directoryKinds } from './harness/directories.ts'
import { startFaultyProxy } from './harness/faulty-proxy.ts'
import * as samba from './harness/samba.ts'
import * as slapd from './harness/slapd.ts'
import type { TestDirectory } from './harness/test-directory.ts'
import { record, replace, settingsFor } from './harness/test-directory.ts'

const PASSWORDS = { alice: 'Password-of-alice-1', bob: 'Password-of-bob-1', carol: 'Password-of-carol-1' }
const WRONG = 'Wrong-password-1'
/** Names that mean something to a filter, or to a distinguished name, and are nobody's. */
const NOBODY = [
  ['nobody', '*', 'al*', 'a*e', ')(uid=*', 'alice)(uid=*', '*)(uid=alice', 'alice)(objectClass=*))(&(x=y'],
  ['\\', 'alice\\', String.raw`\2a`, String.raw`alice\00`, 'alice\0', '\0', 'a\0lice', '(', ')', '&', '|'],
  ['alice,ou=people', 'alice+cn=x', '#alice', 'älice', 'alicé', '✱', '{username}', '$&', ''],
].flat()

function connectPatiently(t: Test, settings: Record<string, string>) {
  return patient(connectForTest(t, settings))
}

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
    const looked = await find('alice')
    t.match(looked, { outcome: 'found', person: { dn: personDn('alice'), state: 'active' } })
    t.match(await find('ALICE'), looked, 'names have no case')
    t.match(await find('bob'), { outcome: 'found', person: { groups: [] } })
    const [searches, binds] = [count('search ok'), count('bind ok')]
    const verified = await verify('alice', PASSWORDS.alice, personDn('alice'))
    t.match(verified, { outcome: 'verified', person: { dn: personDn('alice') } })
    t.strictSame([count('search ok') - searches, count('bind ok') - binds], [1, 1])
    t.equal(count('root_dse ok'), 1, 'the kind is asked for once')
    const [group] = looked.outcome === 'found' ? looked.person.groups : []
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
      t.match(await verify(name, PASSWORDS.alice), { outcome: 'barred', looked: { outcome: 'gone' } })
    }
    t.equal(count('bind ok') + count('bind refused'), 0, 'and nobody is bound')
  })

  await t.test('a name that was known is not taken for somebody else’s', async (t) => {
    const { find } = connect(t)
    t.match(await find('bob', personDn('alice')), { outcome: 'found', person: { groups: [] } })
    t.match(await find('bob', 'CN=no longer,DC=there'), { outcome: 'found', person: { dn: personDn('bob') } })
    const moved = await find('alice', personDn('bob'))
    t.match(moved, { person: { dn: personDn('alice'), groups: [/developers/i] } })
  })

  await t.test('locked, expired, disabled, gone', async (t) => {
    const { find, verify } = connect(t)
    for (let count = 0; count < directory.lockedAfter; count += 1) {
      t.match(await verify('bob', `${WRONG}${count}`), { outcome: /wrong-password|barred/ })
    }
    const barred = (state: string) => ({ outcome: 'barred', looked: { person: { state } } })
    t.match(await verify('bob', PASSWORDS.bob), barred('locked'))
    t.match(await find('bob'), { person: { state: 'locked' } })
    await directory.expire('bob')
    t.match(await verify('bob', PASSWORDS.bob), barred('expired'))
    await directory.disable('bob')
    t.match(await verify('bob', PASSWORDS.bob), barred('disabled'))
    await directory.remove('bob')
    t.match(await verify('bob', PASSWORDS.bob), { outcome: 'barred', looked: { outcome: 'gone' } })
  })
}

for (const { name, missing, start } of await directoryKinds()) {
  t.test(name, { skip: missing }, async (t) => {
    const directory = await start(t)
    await testPeople(t, directory)
    await (name === 'OpenLDAP' ? testOpenLdap(t, directory) : testActiveDirectory(t, directory))
  })
}

async function testOpenLdap(t: Test, directory: TestDirectory) {
  const settings = settingsFor(directory)

  await t.test('names with all sorts of characters are found, each for itself', async (t) => {
    const names = ['st*r', 'p)(q', 'back\\slash', 'comma,plus+', 'ünï-✱', '#sharp', 'a"b<c>d;e=f', '*']
    const dnOf = (at: number) => `uid=person-${at},ou=people,${directory.baseDn}`
    await directory.apply(
      names
        .map((name, at) =>
          slapd.person(dnOf(at), name, `Password-${at}`).replace(/^uid::/m, `uid: person-${at}\nuid::`),
        )
        .join(''),
    )
    const { find, verify } = connectPatiently(t, settings)
    for (const [at, name] of names.entries()) {
      t.match(await find(name), { outcome: 'found', person: { dn: dnOf(at) } }, name)
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
    await directory.apply(slapd.person(twin, 'carol', PASSWORDS.carol))
    const { find, verify } = connectPatiently(t, settings)
    t.strictSame(await find('carol'), { outcome: 'ambiguous' })
    t.match(await verify('carol', PASSWORDS.carol), { outcome: 'barred', looked: { outcome: 'ambiguous' } })
  })

  await t.test('bound by a template', async (t) => {
    const { DIRECTORY_BIND_DN: _dn, DIRECTORY_BIND_PASSWORD: _password, ...others } = settings
    const direct = { ...others, DIRECTORY_BIND_TEMPLATE: `uid={username},ou=people,${directory.baseDn}` }
    const { verify, count } = connectPatiently(t, direct)
    t.match(await verify('alice', PASSWORDS.alice), {
      outcome: 'verified',
      person: { dn: directory.personDn('alice') },
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
    const mallory = slapd.person(directory.personDn('mallory'), 'mallory', 'Password-of-mallory')
    await directory.apply(mallory.replace(/^sn::.*$/m, 'sn: someone else'))
    const impostor = await byMail('mallory', 'Password-of-mallory')
    t.not(impostor.outcome, 'verified', 'whoever is found must be who has bound')
  })
}

async function testActiveDirectory(t: Test, directory: TestDirectory) {
  const settings = settingsFor(directory)
  const { personDn, groupDn } = directory

  await t.test('names with all sorts of characters are found, each for itself', async (t) => {
    const names = ['p(a)r', 'am&p', 'ünï', 'c!d~e', 'do.t-$']
    const dnOf = (at: number) => String.raw`CN=Person\, ${at} (${at}),CN=Users,${directory.baseDn}`
    await directory.apply(names.map((name, at) => samba.person(dnOf(at), name, `Password-of-${at}`)).join(''))
    const { find, verify } = connectPatiently(t, settings)
    for (const [at, name] of names.entries()) {
      t.match(await find(name), { outcome: 'found', person: { dn: dnOf(at) } }, name)
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
        looked: { outcome: 'ambiguous' },
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
    t.match(await verify('carol', PASSWORDS.carol), { person: { groups } }, 'by two searches for a newcomer')
    t.equal(count('search ok'), 2)
    t.match(await verify('carol', PASSWORDS.carol, personDn('carol')), { person: { groups } })
    t.equal(count('search ok'), 3)
    await directory.removeMember('middle', groupDn('inner'))
    t.strictSame(
      ((await verify('carol', PASSWORDS.carol, personDn('carol'))) as { person: { groups: unknown } }).person
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
      person: { dn: personDn('alice') },
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
}
