import t from 'tap'
import { createDirectoryRefresh } from '../../src/directory/refresh.ts'
import type { DirectoryState } from '../../src/principals/account.ts'
import type { DirectoryLookup } from '../../src/directory/directory.ts'
import { DirectoryUnavailable } from '../../src/directory/directory.ts'
import { makeAccount } from '../fixtures/accounts.ts'

const STATE: DirectoryState = { dn: 'CN=x', state: 'active', role: null, namespaces: [] }
const FOUND: DirectoryLookup = { outcome: 'found', entry: { dn: 'CN=x', state: 'active', groups: [] } }

function build(count: number, hasService = true) {
  const names = Array.from({ length: count }, (_, at) => `user-${at}`)
  const world = {
    due: names.map((username) =>
      makeAccount({ id: username, username, directory: true, directoryState: STATE }),
    ),
    answers: new Map<string, DirectoryLookup | Error>(),
    saved: [] as [string, string][],
    groups: [] as [string, readonly string[]][],
    readAt: [] as [string, number | undefined][],
    ended: [] as string[],
    claimed: [] as [Date, Date, number][],
    counted: [] as string[],
    logged: [] as string[],
  }
  const find = async (username: string): Promise<DirectoryLookup> => {
    const answer = world.answers.get(username) ?? FOUND
    if (answer instanceof Error) throw answer
    return answer
  }
  const refresh = createDirectoryRefresh({
    async claim(...claim) {
      world.claimed.push(claim)
      return world.due.splice(0, claim[2])
    },
    async setReadAt(ids, readAt) {
      for (const id of ids) world.readAt.push([id, readAt?.getTime()])
    },
    async save({ username }, { state }) {
      world.saved.push([username, state])
    },
    async setGroups({ username }, groups) {
      if (groups.length > 0) world.groups.push([username, groups])
    },
    isDatabaseUnavailable: () => false,
    find: hasService ? find : undefined,
    groups: undefined,
    async endSessions({ username }) {
      const answer = world.answers.get(username)
      if (answer instanceof Error) throw answer
      world.ended.push(username)
    },
    refreshSeconds: 100,
    now: () => 1_000_000,
    log: (_level, _fields, line) => void world.logged.push(line),
    count: (outcome) => void world.counted.push(outcome),
  })
  return { world, refresh }
}

t.test('a refresh reads the state of every account that is due, in pages', async (t) => {
  const { world, refresh } = build(120)
  world.answers.set('user-7', { outcome: 'gone' })
  world.answers.set('user-99', { outcome: 'ambiguous' })
  await refresh.run()
  t.strictSame(world.saved.toSorted(), [
    ['user-7', 'gone'],
    ['user-99', 'ambiguous'],
  ])
  t.equal(world.readAt.length, 118)
  t.ok(world.readAt.every(([, at]) => at === 1_000_000))
  t.equal(world.counted.filter((outcome) => outcome === 'changed').length, 2)
  const [before, lease, limit] = world.claimed[0] ?? []
  t.strictSame(
    [before?.getTime(), lease?.getTime(), limit],
    [925_000, 935_000, 50],
    'an account is due after three quarters of the time; a lease takes a tenth',
  )
})

t.test(
  'a refresh stops when the directory becomes unavailable and keeps the states that it has read',
  async (t) => {
    const { world, refresh } = build(10)
    for (const at of [4, 5, 6, 7, 8, 9])
      world.answers.set(`user-${at}`, new DirectoryUnavailable('no server responds'))
    await t.rejects(refresh.run(), DirectoryUnavailable)
    t.strictSame(world.saved, [])
    t.strictSame(world.readAt.map(([name]) => name).toSorted(), ['user-0', 'user-1', 'user-2', 'user-3'])
    t.equal(world.claimed.length, 1, 'no other page is claimed')
  },
)

t.test('an account that cannot be refreshed delays no other account and is retried later', async (t) => {
  const { world, refresh } = build(120)
  for (const at of [0, 1, 2, 3, 4, 60])
    world.answers.set(`user-${at}`, new Error('an entry that breaks the parser'))
  await refresh.run()
  t.equal(world.counted.filter((outcome) => outcome === 'same').length, 114)
  t.equal(world.counted.filter((outcome) => outcome === 'failed').length, 6)
  // Accounts of before 925 s are due, so 935 s means a retry in a tenth of the refresh time.
  t.strictSame(
    world.readAt.filter(([, at]) => at !== 1_000_000).map(([name, at]) => [name, at]),
    [0, 1, 2, 3, 4, 60].map((at) => [`user-${at}`, 935_000]),
  )
  t.match(world.logged, [/could not refresh a directory user/])
  world.due = [makeAccount({ id: 'user-0', username: 'user-0', directory: true, directoryState: STATE })]
  await refresh.run()
  t.equal(world.readAt.at(-1)?.[1], 945_000, 'the delay doubles')
})

t.test('an account whose sessions cannot be ended delays no other account', async (t) => {
  const { world, refresh } = build(3, false)
  world.answers.set('user-1', new Error('this row is refused'))
  await refresh.run()
  t.strictSame(world.ended, ['user-0', 'user-2'])
  t.strictSame(world.readAt, [
    ['user-1', 935_000],
    ['user-0', undefined],
    ['user-2', undefined],
  ])
})

t.test('a refresh without a service account ends sessions once', async (t) => {
  const { world, refresh } = build(3, false)
  await refresh.run()
  t.strictSame(world.ended, ['user-0', 'user-1', 'user-2'])
  t.strictSame(world.readAt, [
    ['user-0', undefined],
    ['user-1', undefined],
    ['user-2', undefined],
  ])
  t.strictSame(world.saved, [])
})

t.test('a refresh saves the mapped groups of a user whose state is the same', async (t) => {
  const { world, refresh } = build(2)
  const groups = ['cn=dev,dc=x']
  world.answers.set('user-1', { outcome: 'found', entry: { dn: 'CN=x', state: 'active', groups } })
  await refresh.run()
  t.strictSame(world.saved, [])
  t.strictSame(world.groups, [['user-1', groups]])
})
