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
    now: 50_000_000,
    revocations: new Map<string, number>(),
    unavailable: false,
    queries: [] as Date[],
    read: async (times: number) => {
      const until = fake.queries.length + times
      while (fake.queries.length < until) await new Promise<void>((resolve) => waiting.push(resolve))
    },
    load: async (since: Date) => {
      fake.queries.push(since)
      setImmediate(() => waiting.splice(0).forEach((resolve) => resolve()))
      if (fake.unavailable) throw new Error('connect ECONNREFUSED')
      return new Map(fake.revocations)
    },
  }
  const list = createRevocationList({ load: fake.load, now: () => fake.now, windowMs: 1_260_000 })
  return { fake, list }
}

t.test('the revocation list is loaded when start returns', async (t) => {
  const { fake, list } = createFake()
  t.teardown(list.stop)
  fake.revocations.set(account.id, 3)
  t.equal(list.current(), undefined)
  await list.start()
  t.same(list.current(), fake.revocations)
  t.same(
    fake.queries,
    [new Date(fake.now - 1_260_000)],
    'it covers the time for which access tokens can be valid',
  )
  t.equal(await list.check(), 'ok')
})

t.test('a generation below the least valid one is revoked', async (t) => {
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
  await fake.read(1)
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
  t.same(list.current(), new Map())
})

t.test('a stopped revocation list is not polled any more', async (t) => {
  const { fake, list } = createFake()
  await list.start()
  await list.stop()
  await new Promise((resolve) => setTimeout(resolve, 1200))
  t.equal(fake.queries.length, 1)
})
