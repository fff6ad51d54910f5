import t from 'tap'
import type { ServiceClient } from '@registry-manager/http'
import { createRevocationFeed } from '../src/revocation-feed.ts'

type Answer = Record<string, number> | 'away' | 'same'

/** An auth-service that gives these answers in turn (the last one again and again), and says when it was asked. */
function createFake(...answers: Answer[]) {
  const waiting: (() => void)[] = []
  const fake = {
    now: 5_000_000,
    asked: 0,
    etags: [] as (string | undefined)[],
    /** Resolves when the feed has taken in the answers to so many questions. */
    heard: async (count: number) => {
      // A question is asked once the answer before it was taken in.
      while (fake.asked <= count) await new Promise<void>((resolve) => waiting.push(resolve))
    },
    client: {
      getIfChanged: async (_path: string, _schema: unknown, etag: string | undefined) => {
        fake.etags.push(etag)
        fake.asked += 1
        for (const resolve of waiting.splice(0)) resolve()
        const answer = answers.length > 1 ? answers.shift() : answers[0]
        if (answer === 'away' || answer === undefined) throw new Error('auth-service is away')
        return answer === 'same' ? undefined : { value: { accounts: answer }, etag: `"${fake.asked}"` }
      },
    } as unknown as ServiceClient,
  }
  return fake
}

t.test('nobody knows before there was an answer', async (t) => {
  const fake = createFake('away')
  const feed = createRevocationFeed(fake.client, () => fake.now)
  t.equal(feed.isRevoked('a', 1), undefined, 'not before the start')
  await t.rejects(feed.check(), /no revocations were ever had/)
  feed.start()
  t.teardown(feed.stop)
  await fake.heard(1)
  t.equal(feed.isRevoked('a', 1), undefined, 'and not when it fails')
  await t.rejects(feed.check(), /no revocations were ever had/)
})

t.test('generations below the least are dead', async (t) => {
  const fake = createFake({ a: 3 })
  const feed = createRevocationFeed(fake.client, () => fake.now)
  feed.start()
  t.teardown(feed.stop)
  await fake.heard(1)
  t.strictSame(
    [feed.isRevoked('a', 2), feed.isRevoked('a', 3), feed.isRevoked('a', 4), feed.isRevoked('b', 0)],
    [true, false, false, false],
  )
  t.equal(feed.isRevoked('constructor', 1), false)
  t.equal(await feed.check(), 'ok')
})

t.test('each answer replaces the one before it; the last one holds while there is none', async (t) => {
  const fake = createFake({ a: 3 }, { b: 2 }, 'away')
  const feed = createRevocationFeed(fake.client, () => fake.now)
  feed.start()
  t.teardown(feed.stop)
  await fake.heard(2)
  t.strictSame([feed.isRevoked('a', 1), feed.isRevoked('b', 1)], [false, true])
  await fake.heard(3)
  t.strictSame([feed.isRevoked('a', 1), feed.isRevoked('b', 1)], [false, true])
  t.equal(await feed.check(), 'ok', 'a short silence is no trouble')
  fake.now += 5000
  t.match(await feed.check(), { degraded: 'silent for 5 s' }, 'a longer one is told')
})

t.test('a feed that was stopped asks no more, even when it was just asking', async (t) => {
  const fake = createFake({ a: 3 })
  const feed = createRevocationFeed(fake.client, () => fake.now)
  feed.start()
  await fake.heard(0)
  feed.stop()
  const { asked } = fake
  await new Promise((resolve) => setTimeout(resolve, 1200))
  t.equal(fake.asked, asked)
  t.equal(feed.isRevoked('a', 2), true, 'and keeps what it knows')
})

t.test('the feed asks for changes since the last answer, and keeps that when there are none', async (t) => {
  const fake = createFake({ a: 3 }, 'same', 'away', { b: 2 }, 'same')
  const feed = createRevocationFeed(fake.client, () => fake.now)
  feed.start()
  t.teardown(feed.stop)
  await fake.heard(2)
  t.equal(feed.isRevoked('a', 2), true)
  t.equal(await feed.check(), 'ok', 'no changes is an answer')
  await fake.heard(4)
  t.strictSame([feed.isRevoked('a', 2), feed.isRevoked('b', 1)], [false, true])
  await fake.heard(5)
  t.strictSame(fake.etags.slice(0, 5), [undefined, '"1"', '"1"', '"1"', '"4"'])
})
