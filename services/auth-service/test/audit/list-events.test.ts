import t from 'tap'
import type { EventPosition, StoredEvent } from '../../src/audit/list-events.ts'
import { STREAM_BATCH, createListEvents } from '../../src/audit/list-events.ts'

/** A port with this many events, and the limits with which it was called. */
function build(count: number) {
  const state = { limits: [] as number[], failure: undefined as Error | undefined }
  const all = Array.from({ length: count }, (_, at) => ({
    position: { micros: '1', id: String(count - at) },
  }))
  const find = async (_filter: object, after: EventPosition | undefined, limit: number) => {
    state.limits.push(limit)
    if (state.failure !== undefined) throw state.failure
    const from = after === undefined ? 0 : count - Number(after.id) + 1
    return all.slice(from, from + limit) as unknown as StoredEvent[]
  }
  return { state, list: createListEvents({ find }) }
}

const idsOf = (events: readonly StoredEvent[]) => events.map(({ position }) => Number(position.id))

t.test('pages follow each other without a gap, and the last one has no next', async (t) => {
  const { list } = build(7)
  const pages: number[][] = []
  for (let after: EventPosition | undefined, more = true; more;) {
    const page = await list.page({}, after, 3)
    pages.push(idsOf(page.events))
    after = page.next
    more = after !== undefined
  }
  t.strictSame(pages, [[7, 6, 5], [4, 3, 2], [1]])
  const exact = await build(3).list.page({}, undefined, 3)
  t.strictSame([idsOf(exact.events), exact.next], [[3, 2, 1], undefined], 'a full last page')
  t.strictSame(await build(0).list.page({}, undefined, 3), { events: [], next: undefined })
})

t.test('a stream has all events after a position, and as many as its limit', async (t) => {
  const count = 2 * STREAM_BATCH + 50
  for (const [limit, after, expected] of [
    [Number.POSITIVE_INFINITY, undefined, count],
    [Number.POSITIVE_INFINITY, { micros: '1', id: '11' }, 10],
    [STREAM_BATCH + 1, undefined, STREAM_BATCH + 1],
    [STREAM_BATCH, undefined, STREAM_BATCH],
    [1, undefined, 1],
  ] as const) {
    const { list } = build(count)
    const ids: number[] = []
    for await (const batch of await list.stream({}, after, limit)) {
      t.ok(batch.length <= STREAM_BATCH)
      ids.push(...idsOf(batch))
    }
    const first = after === undefined ? count : Number(after.id) - 1
    t.strictSame(
      ids,
      Array.from({ length: expected }, (_, at) => first - at),
      `limit ${limit}`,
    )
  }
})

t.test('a stream reads the next batch only when the previous one was consumed', async (t) => {
  const { list, state } = build(10 * STREAM_BATCH)
  const batches = (await list.stream({}, undefined, Number.POSITIVE_INFINITY))[Symbol.asyncIterator]()
  t.equal(state.limits.length, 1, 'the first batch is read before the response begins')
  await batches.next()
  t.equal(state.limits.length, 1)
  await batches.next()
  t.equal(state.limits.length, 2)
  await batches.return?.()
  t.match(await batches.next(), { done: true })
  t.equal(state.limits.length, 2, 'nothing is read for a client that has gone')
})

t.test('a stream fails before its response begins if the events cannot be read', async (t) => {
  const { list, state } = build(1)
  state.failure = new Error('the database is unavailable')
  await t.rejects(list.stream({}, undefined, 10), state.failure)
})
