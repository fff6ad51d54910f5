import t from 'tap'
import { createBatches } from '../src/batches.ts'

/** Work that waits until the test ends it. */
function controlledWork() {
  const batches: {
    items: readonly number[]
    end: (results: readonly string[]) => void
    fail: (error: Error) => void
  }[] = []
  const work = (items: readonly number[]) =>
    new Promise<readonly string[]>((resolve, reject) => batches.push({ items, end: resolve, fail: reject }))
  return { batches, work }
}

t.test('items that arrive while batches run form the next batch', async (t) => {
  const { batches, work } = controlledWork()
  const add = createBatches(work, { size: 3, concurrent: 2, keyOf: String })
  const results = [1, 2, 3, 4, 5, 6].map((item) => add(item))
  t.same(
    batches.map(({ items }) => items),
    [[1], [2]],
  )
  batches[0]?.end(['one'])
  t.equal(await results[0], 'one')
  t.same(
    batches.map(({ items }) => items),
    [[1], [2], [3, 4, 5]],
  )
  batches[1]?.end(['two'])
  batches[2]?.end(['three', 'four', 'five'])
  t.same(await Promise.all(results.slice(1, 5)), ['two', 'three', 'four', 'five'])
  batches[3]?.end(['six'])
  t.equal(await results[5], 'six')
  t.equal(batches.length, 4)
})

t.test('an item never joins a batch that has begun', async (t) => {
  let value = 'old'
  const { promise: read, resolve: mayRead } = Promise.withResolvers<void>()
  const work = async (items: readonly number[]) => {
    const seen = value
    await read
    return items.map(() => seen)
  }
  const add = createBatches(work, { size: 10, concurrent: 1, keyOf: String })
  const before = add(1)
  value = 'new'
  const after = [add(2), add(3)]
  mayRead()
  t.equal(await before, 'old')
  t.same(await Promise.all(after), ['new', 'new'])
})

t.test('equal items that wait are worked on once, and not with a batch that has begun', async (t) => {
  const { batches, work } = controlledWork()
  const add = createBatches(work, { size: 2, concurrent: 1, keyOf: String })
  const results = [1, 1, 2, 1, 2, 3].map((item) => add(item))
  batches[0]?.end(['first'])
  t.equal(await results[0], 'first')
  t.same(batches[1]?.items, [1, 2])
  batches[1]?.end(['one', 'two'])
  t.same(await Promise.all(results.slice(1, 5)), ['one', 'two', 'one', 'two'])
  t.same(batches[2]?.items, [3])
  batches[2]?.end(['three'])
  t.equal(await results[5], 'three')
})

t.test('a failed batch fails its own items, and later batches run', async (t) => {
  const { batches, work } = controlledWork()
  const add = createBatches(work, { size: 2, concurrent: 1, keyOf: String })
  const results = [1, 2, 3, 4].map((item) => add(item))
  const failed = Promise.allSettled(results)
  batches[0]?.fail(new Error('away'))
  await t.rejects(() => Promise.all(results.slice(0, 1)), { message: 'away' })
  batches[1]?.end(['only one result'])
  await t.rejects(() => Promise.all(results.slice(1, 2)), { message: 'a batch of 2 items has 1 results' })
  batches[2]?.end(['four'])
  t.equal(await results[3], 'four')
  t.same(
    (await failed).map(({ status }) => status),
    ['rejected', 'rejected', 'rejected', 'fulfilled'],
  )
})
