import type { NewEvent } from '@registry-manager/events'
import t from 'tap'
import type { NamedAccount } from '../../src/audit/sign-in-log.ts'
import { createSignInLog } from '../../src/audit/sign-in-log.ts'
import type { SignIn, SignInService } from '../../src/sign-in/sign-in.ts'

const START = Date.parse('2026-11-29T12:00:00Z')
const REFUSED: SignIn = { outcome: 'refused' }
const THROTTLED: SignIn = { outcome: 'throttled', retryAfterSeconds: 20 }
const ACCOUNTS: readonly NamedAccount[] = [
  { kind: 'user', id: '1', name: 'alice', state: 'enabled' },
  { kind: 'user', id: '2', name: 'bob', state: 'disabled' },
  { kind: 'registry-token', id: '3', name: 'CI-Team', state: 'enabled' },
  { kind: 'registry-token', id: '4', name: 'old', state: 'expired' },
]

/** A log of a service whose sign-ins all have the outcome `next`. */
function build() {
  const state = {
    next: REFUSED,
    now: START,
    accounts: ACCOUNTS,
    requestId: 'r-1' as string | undefined,
    failure: undefined as Error | undefined,
    events: [] as NewEvent[],
    lookups: [] as (readonly string[])[],
    errors: [] as unknown[],
  }
  const service: SignInService = {
    withPassword: async () => state.next,
    withRefreshToken: async () => state.next,
    rememberRefreshToken: () => undefined,
  }
  const log = createSignInLog({
    async findAccounts(names) {
      state.lookups.push(names)
      if (state.failure !== undefined) throw state.failure
      return new Map(
        state.accounts
          .map((account) => [account.name.toLowerCase(), account] as const)
          .filter(([name]) => names.includes(name)),
      )
    },
    recordEvents: async (...events) => void state.events.push(...events),
    now: () => state.now,
    onError: (error) => state.errors.push(error),
    context: () => (state.requestId === undefined ? undefined : { requestId: state.requestId }),
  })
  return { state, log, signIn: log.watch(service) }
}

const shown = ({ target, address, detail }: NewEvent) => [
  'account' in target ? target.account : undefined,
  address,
  detail?.['reason'],
  detail?.['count'],
]

t.test('a refused sign-in is recorded with its account, address, request and reason', async (t) => {
  const { state, log, signIn } = build()
  t.strictSame(await signIn.withPassword('Alice', 'wrong', '192.0.2.7'), REFUSED, 'the result is unchanged')
  await log.flush()
  t.strictSame(state.events, [
    {
      action: 'sign-in',
      outcome: 'refused',
      time: new Date(START),
      principal: { kind: 'anonymous', id: null, name: null },
      target: { kind: 'user', account: 'alice', id: '1' },
      address: '192.0.2.7',
      requestId: 'r-1',
      detail: { reason: 'wrong-password', count: 1 },
    },
  ])
  await log.flush()
  t.equal(state.events.length, 1, 'it is recorded once')
})

t.test('the reason tells why a sign-in was refused', async (t) => {
  const { state, log, signIn } = build()
  for (const name of ['alice', 'BOB', 'ci-team', 'old', 'nobody'])
    await signIn.withPassword(name, 'x', '192.0.2.7')
  state.next = THROTTLED
  await signIn.withPassword('alice', 'x', '192.0.2.7')
  await signIn.withRefreshToken('rmr_x', 's', '192.0.2.7')
  state.next = REFUSED
  await signIn.withRefreshToken('rmr_x', 's', '192.0.2.7')
  await log.flush()
  t.strictSame(state.events.map(shown), [
    ['alice', '192.0.2.7', 'wrong-password', 1],
    ['bob', '192.0.2.7', 'disabled', 1],
    ['CI-Team', '192.0.2.7', 'wrong-password', 1],
    ['old', '192.0.2.7', 'expired', 1],
    [null, '192.0.2.7', 'unknown-user', 1],
    ['alice', '192.0.2.7', 'throttled', 1],
    [null, '192.0.2.7', 'throttled', 1],
    [null, '192.0.2.7', 'invalid-refresh-token', 1],
  ])
  t.match(
    state.events.map(({ target }) => target.kind),
    ['user', 'user', 'registry-token', 'registry-token', 'user', 'user', 'user', 'user'],
  )
})

t.test('successful sign-ins, and those that a dependency could not decide, are not recorded', async (t) => {
  const { state, log, signIn } = build()
  for (const next of [
    { outcome: 'unavailable', dependency: 'database' },
    { outcome: 'account', account: {} as never, offline: false },
    { outcome: 'registry-token', registryToken: {} as never, notAfter: undefined, offline: false },
  ] as const) {
    state.next = next
    await signIn.withPassword('alice', 'x', '192.0.2.7')
    await signIn.withRefreshToken('rmr_x', 's', '192.0.2.7')
  }
  await log.flush()
  t.strictSame([state.events, state.lookups], [[], []])
})

t.test('a username that no account has is not part of an event', async (t) => {
  const { state, log, signIn } = build()
  const names = ['hunter2', 'a-typed-password', 'x'.repeat(256), 'n\0l', '']
  for (const name of names) await signIn.withPassword(name, 'x', '192.0.2.7')
  await log.flush()
  t.strictSame(state.events.map(shown), [[null, '192.0.2.7', 'unknown-user', 5]], 'one event for all of them')
  t.strictSame(state.lookups, [['hunter2', 'a-typed-password']], 'impossible names are not searched for')
  t.notMatch(JSON.stringify(state.events), /hunter2|typed|xxx/)
})

t.test('refusals of one account, address and reason are one event with their count and period', async (t) => {
  const { state, log, signIn } = build()
  for (const address of ['192.0.2.7', '192.0.2.8', '192.0.2.7']) {
    await signIn.withPassword('alice', 'x', address)
    state.now += 1000
    state.requestId = `r-${state.now}`
  }
  await log.flush()
  t.match(state.events, [
    {
      address: '192.0.2.7',
      time: new Date(START + 2000),
      requestId: `r-${START + 2000}`,
      detail: { count: 2, since: '2026-11-29T12:00:00.000Z' },
    },
    { address: '192.0.2.8', time: new Date(START + 1000), detail: { count: 1 } },
  ])
})

const total = (events: readonly NewEvent[]) =>
  events.reduce((sum, { detail }) => sum + Number(detail?.['count']), 0)
const outside = (at: number) => `10.${at >> 16}.${(at >> 8) & 255}.${at & 255}`

t.test('refusals from one IPv6 /64 network are counted together, as the sign-in limits do', async (t) => {
  const { state, log, signIn } = build()
  for (let at = 1; at <= 600; at += 1) await signIn.withPassword('alice', 'x', `2001:db8:1:2:${at}::9`)
  await signIn.withPassword('alice', 'x', '2001:db8:1:3::1')
  await signIn.withPassword('alice', 'x', '::ffff:192.0.2.7')
  await log.flush()
  t.strictSame(state.events.map(shown), [
    ['alice', '2001:db8:1:2::/64', 'wrong-password', 600],
    ['alice', '2001:db8:1:3::/64', 'wrong-password', 1],
    ['alice', '192.0.2.7', 'wrong-password', 1],
  ])
})

t.test('invented usernames from one network do not hide an attack from another one', async (t) => {
  for (const outcome of [REFUSED, THROTTLED]) {
    const { state, log, signIn } = build()
    state.next = outcome
    for (let at = 0; at < 2000; at += 1) await signIn.withPassword(`name-${at}`, 'x', '198.51.100.1')
    state.next = REFUSED
    for (let at = 0; at < 20; at += 1) await signIn.withPassword('alice', 'x', '203.0.113.5')
    await log.flush()
    t.ok(state.events.length <= 3, `${state.events.length} events`)
    t.equal(total(state.events.filter(({ address }) => address === '198.51.100.1')), 2000)
    t.strictSame(state.events.map(shown).at(-1), ['alice', '203.0.113.5', 'wrong-password', 20])
  }
})

t.test('a flood from one network that names many accounts is few events, all with its address', async (t) => {
  const { state, log, signIn } = build()
  const names = Array.from({ length: 500 }, (_, at) => `user-${at}`)
  state.accounts = names.map((name, at) => ({ kind: 'user', id: `${at}`, name, state: 'enabled' }))
  for (const name of names) await signIn.withPassword(name, 'x', '192.0.2.7')
  await log.flush()
  t.equal(state.events.length, 11)
  t.strictSame(state.events.map(shown).at(-1), [null, '192.0.2.7', 'flood', 490])
  t.equal(state.lookups[0]?.length, 10, 'few names are kept in memory')
})

t.test('in a flood from many networks, events lose the username first, then the address', async (t) => {
  const { state, log, signIn } = build()
  const flood = 5000
  for (let at = 0; at < flood; at += 1) await signIn.withPassword('alice', 'x', outside(at))
  await log.flush()
  t.equal(state.events.length, 301)
  t.strictSame(shown(state.events[199] as NewEvent), ['alice', outside(199), 'wrong-password', 1])
  t.strictSame(shown(state.events[200] as NewEvent), [null, outside(200), 'flood', 1])
  t.strictSame(state.events.map(shown).at(-1), [null, undefined, 'flood', flood - 300])
  t.equal(total(state.events), flood, 'every refusal is counted')
  await signIn.withPassword('bob', 'x', '192.0.2.7')
  await log.flush()
  t.strictSame(state.events.map(shown).at(-1), ['bob', '192.0.2.7', 'disabled', 1], 'the next flush has room')
})

t.test(
  'refusals are kept while the database is unavailable, in bounded memory, and recorded at the stop',
  async (t) => {
    const { state, log, signIn } = build()
    state.failure = new Error('the database is unavailable')
    await signIn.withPassword('alice', 'x', '192.0.2.7')
    await log.flush()
    t.strictSame([state.events, state.errors], [[], [state.failure]])
    state.now += 60_000
    await signIn.withPassword('alice', 'x', '192.0.2.7')
    for (let at = 0; at < 1000; at += 1) await signIn.withPassword('bob', 'x', outside(at))
    for (let times = 2; times <= 5; times += 1) {
      await log.flush()
      t.equal(state.errors.length, times)
    }
    state.failure = undefined
    await log.stop()
    t.equal(state.events.length, 301)
    t.match(state.events[0], {
      target: { account: 'alice' },
      time: new Date(START + 60_000),
      detail: { count: 2, since: '2026-11-29T12:00:00.000Z' },
    })
    t.strictSame(
      shown(state.events[200] as NewEvent),
      [null, outside(199), 'flood', 1],
      'a retry drops nothing',
    )
    t.equal(total(state.events), 1002)
  },
)
