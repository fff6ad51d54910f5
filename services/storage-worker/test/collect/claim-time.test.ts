import { setTimeout as sleep } from 'node:timers/promises'
import t from 'tap'
import { createClaimTime, startStopwatch } from '../../src/collect/claim-time.ts'

function fakeClocks() {
  const now = { monotonic: 5000, wall: 1_700_000_000_000 }
  return { now, clocks: { monotonic: () => now.monotonic, wall: () => now.wall } }
}

t.test('the worker may remove for three quarters of a claim', async (t) => {
  const { now, clocks } = fakeClocks()
  const elapsed = startStopwatch(clocks)
  now.monotonic += 1000
  const time = createClaimTime(elapsed, 60, new AbortController().signal)
  t.teardown(() => time.close())
  now.monotonic += 43_999
  t.equal(time.isOver(), false)
  now.monotonic += 1
  t.equal(time.isOver(), true, 'the time of the request counts')
  t.equal(time.hasEnded(), false)
  now.monotonic += 15_000
  t.equal(time.hasEnded(), true)
})

t.test('a machine that was suspended does not remove after the claim', async (t) => {
  const { now, clocks } = fakeClocks()
  const time = createClaimTime(startStopwatch(clocks), 60, new AbortController().signal)
  t.teardown(() => time.close())
  now.wall += 45_000
  t.equal(time.isOver(), true)
})

t.test('a clock that is set back does not prolong a claim', async (t) => {
  const { now, clocks } = fakeClocks()
  const time = createClaimTime(startStopwatch(clocks), 60, new AbortController().signal)
  t.teardown(() => time.close())
  now.wall -= 3_600_000
  now.monotonic += 45_000
  t.equal(time.isOver(), true)
})

t.test('a request under way ends with the time of the claim', async (t) => {
  const time = createClaimTime(startStopwatch(fakeClocks().clocks), 0.2, new AbortController().signal)
  t.teardown(() => time.close())
  t.equal(time.signal.aborted, false)
  await sleep(400)
  t.equal(time.signal.aborted, true)
  t.equal(time.isOver(), true)
})
