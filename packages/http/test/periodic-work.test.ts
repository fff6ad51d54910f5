import t from 'tap'
import { until } from '@registry-manager/testing/until'
import { createPeriodicWork } from '../src/periodic-work.ts'

t.test('periodic work runs at once, and again after each pause', async (t) => {
  let turns = 0
  const periodic = createPeriodicWork({ everyMs: 1, work: () => (turns += 1) })
  periodic.start()
  t.equal(turns, 1, 'the first turn starts with start()')
  await until(() => turns >= 3, 'three turns')
  await periodic.stop()
  const atStop = turns
  await new Promise((resolve) => setTimeout(resolve, 20))
  t.equal(turns, atStop, 'no turn after stop()')
})

t.test('periodic work with waitFirst pauses before its first turn', async (t) => {
  const pauses: number[] = []
  let turns = 0
  const periodic = createPeriodicWork({
    everyMs: () => pauses.push(turns),
    waitFirst: true,
    work: () => (turns += 1),
  })
  periodic.start()
  t.equal(turns, 0)
  await until(() => turns >= 2, 'two turns')
  await periodic.stop()
  t.strictSame(pauses.slice(0, 2), [0, 1], 'each pause is computed when it begins')
})

t.test('stop() aborts the running turn and waits for its end', async (t) => {
  let isEnded = false
  const errors: unknown[] = []
  const periodic = createPeriodicWork({
    everyMs: 60_000,
    onError: (error) => errors.push(error),
    work: (signal) =>
      new Promise<void>((_resolve, reject) => {
        signal.addEventListener('abort', () => {
          setTimeout(() => {
            isEnded = true
            reject(signal.reason)
          }, 10)
        })
      }),
  })
  periodic.start()
  await periodic.stop()
  t.ok(isEnded, 'the turn has ended when stop() resolves')
  t.strictSame(errors, [], 'the abort is not reported as an error')
})

t.test('a failed turn is reported, and the next turn runs', async (t) => {
  const errors: unknown[] = []
  let turns = 0
  const periodic = createPeriodicWork({
    everyMs: 1,
    onError: (error) => errors.push((error as Error).message),
    work: () => {
      turns += 1
      if (turns === 1) throw new Error('thrown')
      if (turns === 2) return Promise.reject(new Error('rejected'))
      return undefined
    },
  })
  periodic.start()
  await until(() => turns >= 3, 'a turn after two failures')
  await periodic.stop()
  t.strictSame(errors, ['thrown', 'rejected'])
})

t.test('turns never overlap, and a second start() changes nothing', async (t) => {
  let [running, most, turns] = [0, 0, 0]
  const periodic = createPeriodicWork({
    everyMs: 0,
    work: async () => {
      running += 1
      most = Math.max(most, running)
      await new Promise((resolve) => setTimeout(resolve, 5))
      running -= 1
      turns += 1
    },
  })
  periodic.start()
  periodic.start()
  await until(() => turns >= 3, 'three turns')
  await periodic.stop()
  t.equal(most, 1)
})

t.test('periodic work can be started again after it was stopped', async (t) => {
  let turns = 0
  const periodic = createPeriodicWork({ everyMs: 60_000, work: () => (turns += 1) })
  await periodic.stop()
  periodic.start()
  await periodic.stop()
  periodic.start()
  await periodic.stop()
  t.equal(turns, 2)
})
