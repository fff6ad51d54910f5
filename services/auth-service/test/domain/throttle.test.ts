import t from 'tap'
import { createThrottle } from '../../src/domain/throttle.ts'

function build(options: { maxFailures?: number; maxKeys?: number } = {}) {
  const clock = { now: 1_000_000 }
  const throttle = createThrottle({
    now: () => clock.now,
    maxFailures: 3,
    windowMs: 60_000,
    maxKeys: 100,
    ...options,
  })
  return { clock, throttle }
}

t.test('so many failures are free, then there is a wait', async (t) => {
  const { clock, throttle } = build()
  for (const waits of [0, 0, 0, 60, 60]) {
    t.equal(throttle.waitSeconds('a'), waits)
    throttle.fail('a')
  }
  t.equal(throttle.waitSeconds('b'), 0, 'for that key alone')
  clock.now += 59_001
  t.equal(throttle.waitSeconds('a'), 1, 'in whole seconds, rounded up')
  clock.now += 998
  t.equal(throttle.waitSeconds('a'), 1)
  clock.now += 1
  t.equal(throttle.waitSeconds('a'), 0, 'until the window ends')
  throttle.fail('a')
  t.equal(throttle.waitSeconds('a'), 0, 'and a new one begins from nothing')
})

t.test('failing on does not lengthen the window', async (t) => {
  const { clock, throttle } = build()
  for (let failure = 0; failure < 50; failure += 1) {
    throttle.fail('a')
    clock.now += 1000
  }
  t.equal(throttle.waitSeconds('a'), 10)
})

t.test('a success forgets the failures', async (t) => {
  const { throttle } = build()
  for (const _ of [1, 2]) throttle.fail('a')
  throttle.succeed('a')
  for (const _ of [1, 2]) throttle.fail('a')
  t.equal(throttle.waitSeconds('a'), 0)
  throttle.fail('a')
  t.equal(throttle.waitSeconds('a'), 60)
  throttle.succeed('nobody')
})

t.test('no more keys are remembered than it was told; the oldest give way', async (t) => {
  const { throttle } = build({ maxFailures: 1, maxKeys: 3 })
  for (const key of ['a', 'b', 'c', 'd']) throttle.fail(key)
  t.same(
    ['a', 'b', 'c', 'd'].map((key) => throttle.waitSeconds(key) > 0),
    [false, true, true, true],
  )
})
