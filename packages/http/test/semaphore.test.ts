import t from 'tap'
import type { RunOptions, SemaphoreOptions } from '../src/semaphore.ts'
import { createSemaphore } from '../src/semaphore.ts'

const FULL = { message: 'the queue is full' }
const onFull = () => new Error(FULL.message)

/** A semaphore whose calls take one turn of the event loop; `done` has their names in the order in which they end. */
function build(limit = 1, options: SemaphoreOptions = {}) {
  const semaphore = createSemaphore(limit, { onFull, ...options })
  const done: string[] = []
  let [running, most] = [0, 0]
  const add = (lane: string, name: string, options: RunOptions = {}) =>
    semaphore.run(
      async () => {
        running += 1
        most = Math.max(most, running)
        await new Promise((resolve) => setImmediate(resolve))
        running -= 1
        done.push(name)
        return name
      },
      { lane, ...options },
    )
  return { add, done, most: () => most }
}

t.test('a semaphore runs as many calls at a time as its limit, in order of arrival', async (t) => {
  const semaphore = createSemaphore(2)
  const [started, ends] = [[] as number[], [] as (() => void)[]]
  const calls = [1, 2, 3].map((number) =>
    semaphore.run(() => {
      started.push(number)
      return new Promise<number>((resolve) => ends.push(() => resolve(number)))
    }),
  )
  t.strictSame(started, [1, 2])
  ends[0]?.()
  t.equal(await calls[0], 1)
  t.strictSame(started, [1, 2, 3])
  for (const end of ends) end()
  t.strictSame(await Promise.all(calls), [1, 2, 3])
})

t.test('lanes of a semaphore are served in turn, however many calls wait in one of them', async (t) => {
  const { add, done, most } = build()
  const names = Array.from({ length: 50 }, (_, at) => `flood-${at}`)
  const flood = names.map((name) => add('flood', name))
  await Promise.all([add('alice', 'alice-1'), add('bob', 'bob-1'), add('alice', 'alice-2')])
  t.ok(done.length <= 8, `the other lanes ended after ${done.length} calls`)
  await Promise.all(flood)
  const ended = done.filter((name) => name.startsWith('flood'))
  t.strictSame(ended, names, 'each lane keeps its order')
  t.equal(most(), 1)
})

t.test('a lane of a semaphore refuses a call beyond its limit of waiting calls', async (t) => {
  const { add } = build(1, { maxWaitingInLane: 2 })
  const accepted = [add('a', '1'), add('a', '2'), add('a', '3')]
  await t.rejects(add('a', '4'), FULL)
  accepted.push(add('b', '1'))
  t.strictSame(await Promise.all(accepted), ['1', '2', '3', '1'])
  t.equal(await add('a', '5'), '5', 'the lane accepts calls again once it is served')
})

t.test('when a semaphore is full, the longest lane loses its last call to a shorter lane', async (t) => {
  const { add } = build(1, { maxWaiting: 4 })
  const first = add('a', '0')
  const waiting = ['1', '2', '3', '4'].map((name) => add('a', name).catch((error: unknown) => error))
  await t.rejects(add('a', '5'), FULL, 'the longest lane makes no room for itself')
  t.equal(await add('b', '1'), '1')
  await first
  const ends = await Promise.all(waiting)
  t.strictSame(ends.slice(0, 3), ['1', '2', '3'])
  t.match(ends[3], FULL)
})

t.test('a call that waits for a semaphore beyond its deadline fails and delays no other call', async (t) => {
  const semaphore = createSemaphore(1, { maxWaiting: 1, onFull })
  let end = () => {}
  const first = semaphore.run(() => new Promise<void>((resolve) => (end = resolve)))
  const onLate = () => new Error('too late')
  const options = { deadline: performance.now() + 5, onLate }
  const late = semaphore.run(async () => t.fail('a late call must not run'), options)
  await t.rejects(late, { message: 'too late' })
  const next = semaphore.run(async () => 'next', { deadline: performance.now() + 60_000 })
  end()
  await first
  t.equal(await next, 'next', 'its place in the queue was free again')
})

t.test('a failed call of a semaphore passes its permit to the next call', async (t) => {
  const semaphore = createSemaphore(1)
  const failing = semaphore.run(() => Promise.reject(new TypeError('a fault')))
  const next = semaphore.run(async () => 'done')
  await t.rejects(failing, TypeError)
  t.equal(await next, 'done')
  const { add, most } = build(2)
  t.strictSame(await Promise.all([add('a', '1'), add('a', '2'), add('b', '3')]), ['1', '2', '3'])
  t.equal(most(), 2)
})
