import t from 'tap'
import type { DirectoryState, StoredAccount } from '../../src/principals/account.ts'
import { createDirectorySignIn } from '../../src/directory/directory-sign-in.ts'
import type { DirectoryEntry, Verification } from '../../src/directory/directory.ts'
import { DirectoryUnavailable } from '../../src/directory/directory.ts'
import { createCredentialCache } from '../../src/sign-in/credential-cache.ts'
import { makeAccount } from '../fixtures/accounts.ts'

const PASSWORD = 'the-password'
const ALICE: DirectoryEntry = { dn: 'CN=alice,DC=x', state: 'active', groups: [] }
const STATE: DirectoryState = { dn: ALICE.dn, state: 'active', role: null, namespaces: [] }
const dora = (change: Partial<StoredAccount> = {}) =>
  makeAccount({ directory: true, passwordHash: null, directoryState: STATE, ...change })
const verified = (entry: Partial<DirectoryEntry> = {}): Verification => ({
  outcome: 'verified',
  entry: { ...ALICE, ...entry },
})

function build({ autoCreate = false } = {}) {
  const world = {
    now: 1_000_000,
    answer: (async () => verified()) as (password: string) => Promise<Verification>,
    requests: [] as unknown[],
    written: [] as unknown[],
    /** The groups of the directory that were saved. */
    groups: [] as unknown[],
    counted: [] as string[],
    /** The account that has the name by the time that an account is created. */
    existing: undefined as StoredAccount | undefined,
  }
  const memory = { key: Buffer.alloc(32, 1), now: () => world.now, maxAgeMs: 60_000, maxEntries: 100 }
  const verifier = createDirectorySignIn({
    directory: {
      find: undefined,
      async verify(username, password, knownDn) {
        world.requests.push([username, password, knownDn])
        return world.answer(password)
      },
    },
    groups: new Map([['cn=dev,dc=x', { role: null, namespaces: ['team'] }]]),
    autoCreate,
    accounts: {
      async create(username, directoryState) {
        world.written.push(['create', username, directoryState])
        return world.existing ?? dora({ username, directoryState })
      },
      async save(account, directoryState) {
        world.written.push(['save', account.username, directoryState])
        return dora({
          generation: account.generation + 1,
          enabled: directoryState.state === 'active',
          directoryState,
        })
      },
      touch: async ({ username }) => void world.written.push(['touch', username]),
      async setGroups(account, groups) {
        world.groups.push([account.username, groups])
        return account
      },
    },
    verified: createCredentialCache(memory),
    wrong: createCredentialCache(memory),
    count: (result) => world.counted.push(result),
  })
  const verify = (password: string, account: StoredAccount | undefined = dora()) =>
    verifier.verify({ username: 'alice', password, client: '10.0.0.1' }, account)
  return { world, verifier, verify }
}

t.test('the directory verifies directory users, and unknown usernames if it creates accounts', async (t) => {
  for (const autoCreate of [false, true]) {
    const { handles } = build({ autoCreate }).verifier
    t.equal(handles('alice', dora()), true)
    t.equal(handles('alice', makeAccount()), false, 'a local account takes precedence')
    t.equal(handles('alice', undefined), autoCreate)
    for (const name of ['*', 'al*', ')(uid=*', 'al\\ice', 'al\0ice', 'ünï', '', 'a b', '-a'])
      t.equal(handles(name, undefined), false, JSON.stringify(name))
  }
})

t.test('a verified password is cached for a minute', async (t) => {
  const { world, verify } = build()
  t.strictSame(await verify(PASSWORD), dora())
  t.strictSame(world.requests, [['alice', PASSWORD, ALICE.dn]])
  t.strictSame(world.written, [['touch', 'alice']])
  world.now += 60_000
  t.strictSame(await verify(PASSWORD), dora())
  t.equal(world.requests.length, 1)
  await verify('another-password')
  t.equal(world.requests.length, 2, 'a different password is not cached')
  world.now += 1
  await verify(PASSWORD)
  t.equal(world.requests.length, 3)
  t.strictSame(world.counted, ['verified', 'cached', 'verified', 'verified'])
})

t.test('a cached password ends with the generation and with the account', async (t) => {
  const { world, verify } = build()
  await verify(PASSWORD)
  await verify(PASSWORD, dora({ generation: 2 }))
  t.equal(world.requests.length, 2)
  await verify(PASSWORD, dora({ id: '2b0e7d5e-54b5-4c1e-a7a0-5d4d2f7a3a11' }))
  t.equal(world.requests.length, 3)
})

t.test('an empty password and one with NUL are refused without a directory request', async (t) => {
  const { world, verify } = build()
  for (const password of ['', '\0', 'a\0b']) t.equal(await verify(password), undefined)
  t.strictSame(world.requests, [])
})

t.test(
  'a wrong password reaches the directory once a minute, so that retries do not lock the account',
  async (t) => {
    const { world, verify } = build()
    world.answer = async () => ({ outcome: 'wrong-password', sure: true })
    for (const _ of [1, 2, 3]) t.equal(await verify('wrong'), undefined)
    t.equal(world.requests.length, 1)
    world.answer = async () => verified()
    t.ok(await verify(PASSWORD), 'the right password is verified')
    world.now += 60_001
    t.ok(await verify('wrong'), 'a minute later it may have become right')
    t.strictSame(world.counted.slice(0, 3), ['refused', 'refused', 'refused'])
  },
)

t.test('a refusal that may have another cause than the password is not cached', async (t) => {
  const { world, verify } = build()
  world.answer = async () => ({ outcome: 'wrong-password', sure: false })
  t.equal(await verify(PASSWORD), undefined)
  world.answer = async () => verified()
  t.ok(await verify(PASSWORD))
})

t.test('the state of a user whose sign-in the directory forbids is saved at once', async (t) => {
  const { world, verify } = build()
  const forbidden = [
    [
      { outcome: 'found', entry: { ...ALICE, state: 'disabled' } },
      { ...STATE, state: 'disabled' },
    ],
    [{ outcome: 'gone' }, { ...STATE, dn: null, state: 'gone' }],
    [{ outcome: 'ambiguous' }, { ...STATE, dn: null, state: 'ambiguous' }],
  ] as const
  for (const [lookup, directoryState] of forbidden) {
    world.written.length = 0
    world.answer = async () => ({ outcome: 'forbidden', lookup })
    t.equal(await verify(PASSWORD), undefined)
    t.strictSame(world.written, [['save', 'alice', directoryState]])
  }
  world.written.length = 0
  t.equal(
    await verify(PASSWORD, dora({ directoryState: { ...STATE, dn: null, state: 'ambiguous' } })),
    undefined,
  )
  t.strictSame(world.written, [['touch', 'alice']], 'an unchanged state is only touched')
})

t.test('changed groups and the end of a lock take effect with the sign-in', async (t) => {
  const { world, verify } = build()
  world.answer = async () => verified({ state: 'locked', groups: ['cn=dev,dc=x'] })
  const proven = await verify(
    PASSWORD,
    dora({ enabled: false, directoryState: { ...STATE, state: 'locked' } }),
  )
  t.match(proven, { enabled: true, generation: 2, directoryState: { state: 'active', namespaces: ['team'] } })
  world.requests.length = 0
  await verify(PASSWORD, proven)
  t.strictSame(world.requests, [], 'the cache has the new generation')
})

t.test('the first sign-in of a member of a mapped group creates an account', async (t) => {
  const { world, verify, verifier } = build({ autoCreate: true })
  const first = () =>
    verifier.verify({ username: 'alice', password: PASSWORD, client: '10.0.0.1' }, undefined)
  t.equal(await first(), undefined, 'not for a user whose groups give nothing')
  t.strictSame(world.written, [])
  world.answer = async () => verified({ groups: ['cn=dev,dc=x'] })
  t.match(await first(), { username: 'alice', directory: true })
  t.strictSame(world.written, [['create', 'alice', { ...STATE, namespaces: ['team'] }]])
  world.existing = makeAccount()
  t.equal(await first(), undefined, 'a local account that was created concurrently takes precedence')
  world.answer = async () => ({ outcome: 'forbidden', lookup: { outcome: 'gone' } })
  t.equal(await first(), undefined)
  t.ok(await verify(PASSWORD, dora({ generation: 1 })), 'the verified password is cached for the account')
})

t.test('concurrent sign-ins with the same credentials share one directory request', async (t) => {
  const { world, verify } = build()
  const answers = await Promise.all([verify(PASSWORD), verify(PASSWORD), verify(PASSWORD), verify('another')])
  t.equal(world.requests.length, 2)
  for (const answer of answers) t.strictSame(answer, dora())
})

t.test('nothing is saved or cached while the directory is unavailable', async (t) => {
  const { world, verify } = build()
  world.answer = async () => {
    throw new DirectoryUnavailable('no server responds')
  }
  await Promise.all([1, 2].map(() => t.rejects(verify(PASSWORD), DirectoryUnavailable)))
  t.equal(world.requests.length, 1)
  t.strictSame(world.written, [])
  t.strictSame(world.counted, ['unavailable'])
  world.answer = async () => verified()
  t.ok(await verify(PASSWORD), 'once the directory is available')
})

t.test(
  'the mapped groups of a user are saved at a sign-in, and removed if the directory no longer has the user',
  async (t) => {
    const { world, verify } = build()
    const groups = ['cn=ops,dc=x', 'cn=more,dc=x']
    world.answer = async () => verified({ groups })
    await verify(PASSWORD)
    await verify(PASSWORD)
    t.strictSame(world.groups, [['alice', groups]], 'once for a cached password')
    world.answer = async () => ({ outcome: 'forbidden', lookup: { outcome: 'gone' } })
    await verify('another-password')
    t.strictSame(world.groups.at(-1), ['alice', []])
  },
)
