import t from 'tap'
import { createRevocationList } from '../../src/access-tokens/revocation-list.ts'
import { makeAccount } from '../fixtures/accounts.ts'

// Periodic work does not keep a process alive; this timer does.
const alive = setInterval(() => {}, 1000)
t.teardown(() => clearInterval(alive))

const account = makeAccount({ generation: 2 })

/** A fake database with revocations that can fail. `read` resolves after so many more queries. */
function createFake() {
  const waiting: (() => void)[] = []
  const fake = {
    now: 49_980_000,
    monotonic: 0,
    /** Runs while a query does. */
    during: undefined as (() => unknown) | undefined,
    revocations: new Map<string, number>(),
    unavailable: false,
    queries: [] as Date[],
    read: async (times: number) => {
      const until = fake.queries.length + times
      while (fake.queries.length < until) await new Promise<void>((resolve) => waiting.push(resolve))
    },
    cursors: [] as (string | undefined)[],
    load: async (since: Date, cursor?: string) => {
      fake.queries.push(since)
      fake.cursors.push(cursor)
      await fake.during?.()
      setImmediate(() => waiting.splice(0).forEach((resolve) => resolve()))
      if (fake.unavailable) throw new Error('connect ECONNREFUSED')
      return { generations: new Map(fake.revocations), cursor: `after ${fake.queries.length}` }
    },
  }
  const list = createRevocationList({
    load: fake.load,
    now: () => fake.now,
    monotonicNow: () => fake.monotonic,
    windowMs: 1_260_000,
  })
  return { fake, list }
}

t.test('the revocation list is loaded when start returns', async (t) => {
  const { fake, list } = createFake()
  t.teardown(list.stop)
  fake.revocations.set(account.id, 3)
  t.equal(list.current(), undefined)
  await list.start()
  t.same([...(list.current() ?? [])], [...fake.revocations])
  t.same(
    fake.queries,
    [new Date(fake.now - 1_260_000)],
    'it covers the time for which access tokens can be valid',
  )
  t.equal(await list.check(), 'ok')
})

t.test('a generation below the lowest valid one is revoked', async (t) => {
  const { fake, list } = createFake()
  t.teardown(list.stop)
  t.equal(list.isRevoked(account), false, 'nothing is revoked before the list is loaded')
  fake.revocations.set(account.id, 3)
  await list.start()
  t.equal(list.isRevoked(account), true)
  t.equal(list.isRevoked({ ...account, generation: 3 }), false)
  t.equal(list.isRevoked({ ...account, id: 'another' }), false)
})

t.test('the last revocation list stays in force while the database is unavailable', async (t) => {
  const { fake, list } = createFake()
  t.teardown(list.stop)
  fake.revocations.set(account.id, 3)
  await list.start()
  fake.unavailable = true
  await fake.read(1)
  t.equal(list.isRevoked(account), true)
  t.match(await list.check(), { degraded: 'ECONNREFUSED' })
  fake.unavailable = false
  fake.revocations = new Map()
  await fake.read(2)
  t.equal(list.isRevoked(account), false, 'the list is replaced once the database is back')
  t.equal(await list.check(), 'ok')
})

t.test('the revocation list starts while the database is unavailable, and loads later', async (t) => {
  const { fake, list } = createFake()
  t.teardown(list.stop)
  fake.unavailable = true
  await list.start()
  t.equal(list.current(), undefined)
  t.match(await list.check(), { degraded: 'the revocation list could not be read' })
  fake.unavailable = false
  await fake.read(1)
  t.equal(list.current()?.size, 0)
})

t.test('a stopped revocation list is not polled any more', async (t) => {
  const { fake, list } = createFake()
  await list.start()
  await list.stop()
  await new Promise((resolve) => setTimeout(resolve, 1200))
  t.equal(fake.queries.length, 1)
})

t.test('an account is unchanged only while the revocation list is fresh', async (t) => {
  const { fake, list } = createFake()
  t.teardown(list.stop)
  t.equal(list.isUnchanged(account), false, 'before the list is loaded')
  fake.during = () => (fake.monotonic += 300)
  await list.start()
  t.equal(list.isUnchanged(account), true)
  fake.monotonic = 2000
  t.equal(list.isUnchanged(account), true, 'two seconds after the query began')
  fake.monotonic = 2001
  t.equal(list.isUnchanged(account), false, 'no poll for more than two seconds')
  fake.during = undefined
  await fake.read(1)
  await fake.read(1)
  t.equal(list.isUnchanged(account), true, 'after the next poll')
  fake.unavailable = true
  await fake.read(2)
  t.equal(list.isUnchanged(account), false, 'a failed poll ends the freshness at once')
})

t.test(
  'a revocation of this process applies at once, and outlasts a poll that had begun before',
  async (t) => {
    const { fake, list } = createFake()
    t.teardown(list.stop)
    fake.during = () => list.note(account.id, 3)
    await list.start()
    t.equal(list.isRevoked(account), true, 'noted while the first query ran')
    t.equal(list.isUnchanged(account), false)
    list.note(account.id, 2)
    t.equal(list.current()?.get(account.id), 3, 'a lower generation does not replace a higher one')
  },
)

t.test('a poll reads new revocations; once a minute and after an outage it reads all of them', async (t) => {
  const { fake, list } = createFake()
  t.teardown(list.stop)
  fake.revocations.set(account.id, 3)
  await list.start()
  fake.revocations = new Map([['another', 2]])
  await fake.read(2)
  t.strictSame(fake.cursors.slice(0, 3), [undefined, 'after 1', 'after 2'])
  t.same([...(list.current()?.keys() ?? [])].toSorted(), [account.id, 'another'].toSorted(), 'added')
  fake.now += 60_000
  await fake.read(2)
  t.equal(fake.cursors.slice(3).includes(undefined), true)
  t.same([...(list.current()?.keys() ?? [])], ['another'], 'the old revocation is dropped')
  fake.unavailable = true
  await fake.read(1)
  fake.unavailable = false
  const reads = fake.cursors.length
  await fake.read(2)
  t.equal(fake.cursors[reads], undefined)
})
