import t from 'tap'
import type { ServiceClient } from '@registry-manager/http'
import { until } from '@registry-manager/testing/until'
import { createRevocationFeed } from '../src/revocation-feed.ts'

type Response = Record<string, number> | 'unavailable' | 'unchanged'

/** A fake auth-service that sends these responses in turn and repeats the last one. */
function createFake(...responses: Response[]) {
  const fake = {
    now: 5_000_000,
    polls: 0,
    etags: [] as (string | undefined)[],
    /** Resolves when the feed has processed this many responses: the next poll follows only then. */
    processed: (count: number) => until(() => fake.polls > count, `${count} responses were processed`),
    client: {
      getIfChanged: async (_path: string, _schema: unknown, etag: string | undefined) => {
        fake.etags.push(etag)
        fake.polls += 1
        const response = responses.length > 1 ? responses.shift() : responses[0]
        if (response === 'unavailable' || response === undefined) throw new Error('no response')
        if (response === 'unchanged') return undefined
        return { value: { accounts: response }, etag: `"${fake.polls}"` }
      },
    } as unknown as ServiceClient,
  }
  return fake
}

t.test('revocations are unknown until the first list is loaded', async (t) => {
  const fake = createFake('unavailable')
  const feed = createRevocationFeed(fake.client, () => fake.now)
  t.equal(feed.isRevoked('a', 1), undefined, 'before the start')
  await t.rejects(feed.check(), /no revocation list received/)
  feed.start()
  t.teardown(feed.stop)
  await fake.processed(1)
  t.equal(feed.isRevoked('a', 1), undefined, 'after a failed poll')
  await t.rejects(feed.check(), /no revocation list received/)
})

t.test('a token below the lowest valid generation of its account is revoked', async (t) => {
  const fake = createFake({ a: 3 })
  const feed = createRevocationFeed(fake.client, () => fake.now)
  feed.start()
  t.teardown(feed.stop)
  await fake.processed(1)
  t.strictSame(
    [feed.isRevoked('a', 2), feed.isRevoked('a', 3), feed.isRevoked('a', 4), feed.isRevoked('b', 0)],
    [true, false, false, false],
  )
  t.equal(feed.isRevoked('constructor', 1), false)
  t.equal(await feed.check(), 'ok')
})

t.test(
  'each list replaces the one before; the last list is used while auth-service is unavailable',
  async (t) => {
    const fake = createFake({ a: 3 }, { b: 2 }, 'unavailable')
    const feed = createRevocationFeed(fake.client, () => fake.now)
    feed.start()
    t.teardown(feed.stop)
    await fake.processed(2)
    t.strictSame([feed.isRevoked('a', 1), feed.isRevoked('b', 1)], [false, true])
    await fake.processed(3)
    t.strictSame([feed.isRevoked('a', 1), feed.isRevoked('b', 1)], [false, true])
    t.equal(await feed.check(), 'ok', 'a short outage is not reported')
    fake.now += 5000
    t.match(await feed.check(), { degraded: 'for 5 s' }, 'a longer outage is')
  },
)

t.test('a stopped feed polls no more and keeps its list, even if it was stopped during a poll', async (t) => {
  const fake = createFake({ a: 3 })
  const feed = createRevocationFeed(fake.client, () => fake.now)
  feed.start()
  await fake.processed(0)
  await feed.stop()
  const { polls } = fake
  await new Promise((resolve) => setTimeout(resolve, 1200))
  t.equal(fake.polls, polls)
  t.equal(feed.isRevoked('a', 2), true, 'the response of the last poll was processed')
})

t.test('a poll sends the ETag of the last list, and an unchanged list stays in use', async (t) => {
  const fake = createFake({ a: 3 }, 'unchanged', 'unavailable', { b: 2 }, 'unchanged')
  const feed = createRevocationFeed(fake.client, () => fake.now)
  feed.start()
  t.teardown(feed.stop)
  await fake.processed(2)
  t.equal(feed.isRevoked('a', 2), true)
  t.equal(await feed.check(), 'ok', 'an unchanged list is a successful poll')
  await fake.processed(4)
  t.strictSame([feed.isRevoked('a', 2), feed.isRevoked('b', 1)], [false, true])
  await fake.processed(5)
  t.strictSame(fake.etags.slice(0, 5), [undefined, '"1"', '"1"', '"1"', '"4"'])
})
