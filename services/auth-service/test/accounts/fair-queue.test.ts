import t from 'tap'
import { createFairQueue } from '../../src/accounts/fair-queue.ts'

class Full extends Error {
  override readonly message = 'the queue is full'
}
const FULL = { message: 'the queue is full' }

function build(options: { maxRunning?: number; maxWaitingInLane?: number; maxWaiting?: number } = {}) {
  const queue = createFairQueue({
    maxRunning: 1,
    maxWaitingInLane: 100,
    maxWaiting: 1000,
    onFull: () => new Full(),
    ...options,
  })
  const done: string[] = []
  let running = 0
  const add = (lane: string, name: string) =>
    queue.run(lane, async () => {
      running += 1
      t.ok(running <= (options.maxRunning ?? 1), 'no more run at once than were asked for')
      await new Promise((resolve) => setImmediate(resolve))
      running -= 1
      done.push(name)
      return name
    })
  return { add, done }
}

t.test('lanes are served in turn, however much waits in one of them', async (t) => {
  const { add, done } = build()
  const flood = Array.from({ length: 50 }, (_, at) => add('flood', `flood-${at}`))
  await Promise.all([add('alice', 'alice-1'), add('bob', 'bob-1'), add('alice', 'alice-2')])
  t.ok(done.length <= 8, `they came after ${done.length} pieces of work`)
  await Promise.all(flood)
  t.same(
    done.filter((name) => name.startsWith('flood')),
    Array.from({ length: 50 }, (_, at) => `flood-${at}`),
    'each lane in the order in which it came',
  )
})

t.test('a lane has so much room and no more', async (t) => {
  const { add } = build({ maxWaitingInLane: 2 })
  const good = [add('a', '1'), add('a', '2'), add('a', '3')]
  await t.rejects(add('a', '4'), FULL)
  good.push(add('b', '1'))
  t.same(await Promise.all(good), ['1', '2', '3', '1'])
  t.equal(await add('a', '5'), '5', 'until it is served')
})

t.test('when all is full, the longest lane gives way to a shorter one', async (t) => {
  const { add } = build({ maxWaiting: 4 })
  const first = add('a', '0')
  const waiting = ['1', '2', '3', '4'].map((name) => add('a', name).catch((error: unknown) => error))
  await t.rejects(add('a', '5'), FULL, 'not to itself')
  t.equal(await add('b', '1'), '1')
  await first
  const ends = await Promise.all(waiting)
  t.same(ends.slice(0, 3), ['1', '2', '3'])
  t.ok(ends[3] instanceof Full, 'its last place is lost')
})

t.test('work that fails gives its place on', async (t) => {
  const { add } = build({ maxRunning: 2 })
  const queue = createFairQueue({
    maxRunning: 1,
    maxWaitingInLane: 9,
    maxWaiting: 9,
    onFull: () => new Full(),
  })
  const failing = queue.run('a', () => Promise.reject(new TypeError('a fault')))
  const next = queue.run('a', async () => 'done')
  await t.rejects(failing, TypeError)
  t.equal(await next, 'done')
  t.same(await Promise.all([add('a', '1'), add('a', '2'), add('b', '3')]), ['1', '2', '3'])
})
