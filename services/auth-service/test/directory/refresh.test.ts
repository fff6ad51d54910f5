import t from 'tap'
import type { DirectoryAccountsStore } from '../../src/directory/directory-accounts.ts'
import { createDirectoryRefresh } from '../../src/directory/refresh.ts'
import type { StoredAccount } from '../../src/accounts/account.ts'
import type { DirectoryStanding } from '../../src/directory/directory-state.ts'
import type { Looked } from '../../src/directory/directory.ts'
import { DirectoryUnavailable } from '../../src/directory/directory.ts'
import { makeAccount } from '../fixtures/accounts.ts'

const STANDING: DirectoryStanding = { dn: 'CN=x', state: 'active', role: null, namespaces: [] }
const FOUND: Looked = { outcome: 'found', person: { dn: 'CN=x', state: 'active', groups: [] } }

function build(count: number, hasService = true) {
  const names = Array.from({ length: count }, (_, at) => `user-${at}`)
  const world = {
    due: names.map((username) =>
      makeAccount({ id: username, username, directory: true, standing: STANDING }),
    ),
    answers: new Map<string, Looked | Error>(),
    settled: [] as [string, string][],
    released: [] as [string, number | undefined][],
    ended: [] as string[],
    claimed: [] as [Date, Date, number][],
    counted: [] as string[],
    logged: [] as string[],
  }
  const accounts: DirectoryAccountsStore = {
    create: () => Promise.reject(new Error('nobody signs in here')),
    touch: () => Promise.reject(new Error('nobody signs in here')),
    async settle({ username }, { state }) {
      world.settled.push([username, state])
      return undefined
    },
    async claim(...claim) {
      world.claimed.push(claim)
      return world.due.splice(0, claim[2])
    },
    async release(page, askedAt) {
      for (const { username } of page) world.released.push([username, askedAt?.getTime()])
    },
  }
  const find = async (username: string): Promise<Looked> => {
    const answer = world.answers.get(username) ?? FOUND
    if (answer instanceof Error) throw answer
    return answer
  }
  const refresh = createDirectoryRefresh({
    accounts,
    find: hasService ? find : undefined,
    groups: undefined,
    endSessions: async ({ username }: Pick<StoredAccount, 'username'>) => {
      const answer = world.answers.get(username)
      if (answer instanceof Error) throw answer
      world.ended.push(username)
    },
    refreshSeconds: 100,
    now: () => 1_000_000,
    log: (_level, _fields, line) => void world.logged.push(line),
    metrics: { operation: () => {}, signIn: () => {}, rechecked: (outcome) => world.counted.push(outcome) },
  })
  return { world, refresh }
}

t.test('everybody who is due is asked about, page by page', async (t) => {
  const { world, refresh } = build(120)
  world.answers.set('user-7', { outcome: 'gone' })
  world.answers.set('user-99', { outcome: 'ambiguous' })
  await refresh.run()
  t.strictSame(world.settled.toSorted(), [
    ['user-7', 'gone'],
    ['user-99', 'ambiguous'],
  ])
  t.equal(world.released.length, 118)
  t.ok(world.released.every(([, at]) => at === 1_000_000))
  t.equal(world.counted.filter((outcome) => outcome === 'changed').length, 2)
  const [before, lease, limit] = world.claimed[0] ?? []
  t.strictSame(
    [before?.getTime(), lease?.getTime(), limit],
    [925_000, 935_000, 50],
    'in time, and not for long',
  )
})

t.test('while the directory is away nothing is settled, and what was asked before is kept', async (t) => {
  const { world, refresh } = build(10)
  for (const at of [4, 5, 6, 7, 8, 9])
    world.answers.set(`user-${at}`, new DirectoryUnavailable('no server answers'))
  await t.rejects(refresh.run(), DirectoryUnavailable)
  t.strictSame(world.settled, [])
  t.strictSame(world.released.map(([name]) => name).toSorted(), ['user-0', 'user-1', 'user-2', 'user-3'])
  t.equal(world.claimed.length, 1, 'nobody else is asked about')
})

t.test(
  'an account that cannot be refreshed keeps no other from being refreshed, and is retried later',
  async (t) => {
    const { world, refresh } = build(120)
    for (const at of [0, 1, 2, 3, 4, 60])
      world.answers.set(`user-${at}`, new Error('an entry that breaks the parser'))
    await refresh.run()
    t.equal(world.counted.filter((outcome) => outcome === 'same').length, 114)
    t.equal(world.counted.filter((outcome) => outcome === 'failed').length, 6)
    // Due again in a tenth of the time: 925 s is what is due now.
    t.strictSame(
      world.released.filter(([, at]) => at !== 1_000_000).map(([name, at]) => [name, at]),
      [0, 1, 2, 3, 4, 60].map((at) => [`user-${at}`, 935_000]),
    )
    t.match(world.logged, [/could not be refreshed/])
    world.due = [makeAccount({ id: 'user-0', username: 'user-0', directory: true, standing: STANDING })]
    await refresh.run()
    t.equal(world.released.at(-1)?.[1], 945_000, 'the delay grows with the tries')
  },
)

t.test('an account whose sign-ins cannot be ended keeps those of no other', async (t) => {
  const { world, refresh } = build(3, false)
  world.answers.set('user-1', new Error('this row is refused'))
  await refresh.run()
  t.strictSame(world.ended, ['user-0', 'user-2'])
  t.strictSame(world.released, [
    ['user-1', 935_000],
    ['user-0', undefined],
    ['user-2', undefined],
  ])
})

t.test('without a service account sign-ins end, and then there is nothing to ask about', async (t) => {
  const { world, refresh } = build(3, false)
  await refresh.run()
  t.strictSame(world.ended, ['user-0', 'user-1', 'user-2'])
  t.strictSame(world.released, [
    ['user-0', undefined],
    ['user-1', undefined],
    ['user-2', undefined],
  ])
  t.strictSame(world.settled, [])
})
