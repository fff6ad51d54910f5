import t from 'tap'
import type { StoredAccount } from '../../src/accounts/account.ts'
import { createDirectorySignIn } from '../../src/directory/directory-sign-in.ts'
import type { DirectoryStanding } from '../../src/directory/directory-state.ts'
import type { Person, Verification } from '../../src/directory/directory.ts'
import { DirectoryUnavailable } from '../../src/directory/directory.ts'
import { createCredentialCache } from '../../src/sign-in/credential-cache.ts'
import { makeAccount } from '../fixtures/accounts.ts'

const PASSWORD = 'the-password'
const ALICE: Person = { dn: 'CN=alice,DC=x', state: 'active', groups: [] }
const STANDING: DirectoryStanding = { dn: ALICE.dn, state: 'active', role: null, namespaces: [] }
const dora = (change: Partial<StoredAccount> = {}) =>
  makeAccount({ directory: true, passwordHash: null, standing: STANDING, ...change })
const verified = (person: Partial<Person> = {}): Verification => ({
  outcome: 'verified',
  person: { ...ALICE, ...person },
})

function build({ autoCreate = false } = {}) {
  const world = {
    now: 1_000_000,
    answer: (async () => verified()) as (password: string) => Promise<Verification>,
    asked: [] as unknown[],
    written: [] as unknown[],
    counted: [] as string[],
    /** Who has the name by the time that an account is made. */
    holder: undefined as StoredAccount | undefined,
  }
  const memory = { key: Buffer.alloc(32, 1), now: () => world.now, maxAgeMs: 60_000, maxEntries: 100 }
  const signIn = createDirectorySignIn({
    directory: {
      find: undefined,
      async verify(username, password, knownDn) {
        world.asked.push([username, password, knownDn])
        return world.answer(password)
      },
    },
    groups: new Map([['cn=dev,dc=x', { role: null, namespaces: ['team'] }]]),
    autoCreate,
    accounts: {
      async create(username, standing) {
        world.written.push(['create', username, standing])
        return world.holder ?? dora({ username, standing })
      },
      async settle(account, standing) {
        world.written.push(['settle', account.username, standing])
        return dora({ generation: account.generation + 1, enabled: standing.state === 'active', standing })
      },
      touch: async ({ username }) => void world.written.push(['touch', username]),
    },
    verified: createCredentialCache(memory),
    wrong: createCredentialCache(memory),
    count: (result) => world.counted.push(result),
  })
  const prove = (password: string, account: StoredAccount | undefined = dora()) =>
    signIn.prove('alice', password, account)
  return { world, signIn, prove }
}

t.test('whose passwords are the directory’s to judge', async (t) => {
  for (const autoCreate of [false, true]) {
    const { takes } = build({ autoCreate }).signIn
    t.equal(takes('alice', dora()), true)
    t.equal(takes('alice', makeAccount()), false, 'a local account wins')
    t.equal(takes('alice', undefined), autoCreate)
    for (const name of ['*', 'al*', ')(uid=*', 'al\\ice', 'al\0ice', 'ünï', '', 'a b', '-a'])
      t.equal(takes(name, undefined), false, JSON.stringify(name))
  }
})

t.test('verified, and good for a minute without asking', async (t) => {
  const { world, prove } = build()
  t.strictSame(await prove(PASSWORD), dora())
  t.strictSame(world.asked, [['alice', PASSWORD, ALICE.dn]])
  t.strictSame(world.written, [['touch', 'alice']])
  world.now += 60_000
  t.strictSame(await prove(PASSWORD), dora())
  t.equal(world.asked.length, 1)
  await prove('another-password')
  t.equal(world.asked.length, 2, 'another password is another question')
  world.now += 1
  await prove(PASSWORD)
  t.equal(world.asked.length, 3)
  t.strictSame(world.counted, ['verified', 'cached', 'verified', 'verified'])
})

t.test('what was verified dies with the generation, and with the account', async (t) => {
  const { world, prove } = build()
  await prove(PASSWORD)
  await prove(PASSWORD, dora({ generation: 2 }))
  t.equal(world.asked.length, 2)
  await prove(PASSWORD, dora({ id: '2b0e7d5e-54b5-4c1e-a7a0-5d4d2f7a3a11' }))
  t.equal(world.asked.length, 3)
})

t.test('neither an empty password nor one with NUL is asked about', async (t) => {
  const { world, prove } = build()
  for (const password of ['', '\0', 'a\0b']) t.equal(await prove(password), undefined)
  t.strictSame(world.asked, [])
})

t.test('a wrong password is asked about once in a minute, lest it lock the account', async (t) => {
  const { world, prove } = build()
  world.answer = async () => ({ outcome: 'wrong-password', sure: true })
  for (const _ of [1, 2, 3]) t.equal(await prove('wrong'), undefined)
  t.equal(world.asked.length, 1)
  world.answer = async () => verified()
  t.ok(await prove(PASSWORD), 'the right one is not held up')
  world.now += 60_001
  t.ok(await prove('wrong'), 'it may have become right')
  t.strictSame(world.counted.slice(0, 3), ['refused', 'refused', 'refused'])
})

t.test('a refusal that may have had another reason is not remembered', async (t) => {
  const { world, prove } = build()
  world.answer = async () => ({ outcome: 'wrong-password', sure: false })
  t.equal(await prove(PASSWORD), undefined)
  world.answer = async () => verified()
  t.ok(await prove(PASSWORD))
})

t.test('whoever is barred is shut out at once', async (t) => {
  const { world, prove } = build()
  const barred = [
    [
      { outcome: 'found', person: { ...ALICE, state: 'disabled' } },
      { ...STANDING, state: 'disabled' },
    ],
    [{ outcome: 'gone' }, { ...STANDING, dn: null, state: 'gone' }],
    [{ outcome: 'ambiguous' }, { ...STANDING, dn: null, state: 'ambiguous' }],
  ] as const
  for (const [looked, standing] of barred) {
    world.written.length = 0
    world.answer = async () => ({ outcome: 'barred', looked })
    t.equal(await prove(PASSWORD), undefined)
    t.strictSame(world.written, [['settle', 'alice', standing]])
  }
  world.written.length = 0
  t.equal(await prove(PASSWORD, dora({ standing: { ...STANDING, dn: null, state: 'ambiguous' } })), undefined)
  t.strictSame(world.written, [['touch', 'alice']], 'which is written down once')
})

t.test('groups and a lock that has ended take effect with the sign-in', async (t) => {
  const { world, prove } = build()
  world.answer = async () => verified({ state: 'locked', groups: ['cn=dev,dc=x'] })
  const proven = await prove(PASSWORD, dora({ enabled: false, standing: { ...STANDING, state: 'locked' } }))
  t.match(proven, { enabled: true, generation: 2, standing: { state: 'active', namespaces: ['team'] } })
  world.asked.length = 0
  await prove(PASSWORD, proven)
  t.strictSame(world.asked, [], 'and the new generation is remembered')
})

t.test('an account of its own at the first sign-in', async (t) => {
  const { world, prove, signIn } = build({ autoCreate: true })
  const first = () => signIn.prove('alice', PASSWORD, undefined)
  t.equal(await first(), undefined, 'not for somebody whose groups give nothing')
  t.strictSame(world.written, [])
  world.answer = async () => verified({ groups: ['cn=dev,dc=x'] })
  t.match(await first(), { username: 'alice', directory: true })
  t.strictSame(world.written, [['create', 'alice', { ...STANDING, namespaces: ['team'] }]])
  world.holder = makeAccount()
  t.equal(await first(), undefined, 'a local account was made meanwhile, and wins')
  world.answer = async () => ({ outcome: 'barred', looked: { outcome: 'gone' } })
  t.equal(await first(), undefined)
  t.ok(await prove(PASSWORD, dora({ generation: 1 })), 'what was verified is remembered for the account')
})

t.test('the same credentials several times at once are one question', async (t) => {
  const { world, prove } = build()
  const answers = await Promise.all([prove(PASSWORD), prove(PASSWORD), prove(PASSWORD), prove('another')])
  t.equal(world.asked.length, 2)
  for (const answer of answers) t.strictSame(answer, dora())
})

t.test('away is away: nothing is written, nothing remembered', async (t) => {
  const { world, prove } = build()
  world.answer = async () => {
    throw new DirectoryUnavailable('no server answers')
  }
  await Promise.all([1, 2].map(() => t.rejects(prove(PASSWORD), DirectoryUnavailable)))
  t.equal(world.asked.length, 1)
  t.strictSame(world.written, [])
  t.strictSame(world.counted, ['away'])
  world.answer = async () => verified()
  t.ok(await prove(PASSWORD), 'once it is back')
})
