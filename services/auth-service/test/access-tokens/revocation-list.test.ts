import t from 'tap'
import { createRevocationSnapshot } from '../../src/access-tokens/revocation-list.ts'
import { makeAccount } from '../fixtures/accounts.ts'

const account = makeAccount({ generation: 2 })

/** A database with these revocations, which can be away. `read` resolves when it was asked so many times more. */
function createFake() {
  const waiting: (() => void)[] = []
  const fake = {
    now: 50_000_000,
    revocations: new Map<string, number>(),
    away: false,
    asked: [] as Date[],
    read: async (times: number) => {
      const until = fake.asked.length + times
      while (fake.asked.length < until) await new Promise<void>((resolve) => waiting.push(resolve))
    },
    load: async (since: Date) => {
      fake.asked.push(since)
      setImmediate(() => waiting.splice(0).forEach((resolve) => resolve()))
      if (fake.away) throw new Error('connect ECONNREFUSED')
      return new Map(fake.revocations)
    },
  }
  const snapshot = createRevocationSnapshot({ load: fake.load, now: () => fake.now, windowMs: 1_260_000 })
  return { fake, snapshot }
}

t.test('it is there once it has started', async (t) => {
  const { fake, snapshot } = createFake()
  t.teardown(snapshot.stop)
  fake.revocations.set(account.id, 3)
  t.equal(snapshot.current(), undefined)
  await snapshot.start()
  t.same(snapshot.current(), fake.revocations)
  t.same(fake.asked, [new Date(fake.now - 1_260_000)], 'of the time that tokens can be alive')
  t.equal(await snapshot.check(), 'ok')
})

t.test('a generation below the least is revoked', async (t) => {
  const { fake, snapshot } = createFake()
  t.teardown(snapshot.stop)
  t.equal(snapshot.isRevoked(account), false, 'not while nothing is known')
  fake.revocations.set(account.id, 3)
  await snapshot.start()
  t.equal(snapshot.isRevoked(account), true)
  t.equal(snapshot.isRevoked({ ...account, generation: 3 }), false)
  t.equal(snapshot.isRevoked({ ...account, id: 'another' }), false)
})

t.test('the last one holds while the database is away', async (t) => {
  const { fake, snapshot } = createFake()
  t.teardown(snapshot.stop)
  fake.revocations.set(account.id, 3)
  await snapshot.start()
  fake.away = true
  await fake.read(1)
  t.equal(snapshot.isRevoked(account), true)
  t.match(await snapshot.check(), { degraded: 'ECONNREFUSED' })
  fake.away = false
  fake.revocations = new Map()
  await fake.read(1)
  t.equal(snapshot.isRevoked(account), false, 'until it can be read again')
  t.equal(await snapshot.check(), 'ok')
})

t.test('a database that is away at the start keeps nothing from starting', async (t) => {
  const { fake, snapshot } = createFake()
  t.teardown(snapshot.stop)
  fake.away = true
  await snapshot.start()
  t.equal(snapshot.current(), undefined)
  t.match(await snapshot.check(), { degraded: 'the database is away' })
  fake.away = false
  await fake.read(1)
  t.same(snapshot.current(), new Map())
})

t.test('stopped, it reads no more', async (t) => {
  const { fake, snapshot } = createFake()
  await snapshot.start()
  snapshot.stop()
  await new Promise((resolve) => setTimeout(resolve, 1200))
  t.equal(fake.asked.length, 1)
})
