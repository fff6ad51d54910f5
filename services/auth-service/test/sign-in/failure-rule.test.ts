import t from 'tap'
import type { Failures } from '../../src/sign-in/failure-rule.ts'
import { addFailure, concurrentAttempts, delayMs } from '../../src/sign-in/failure-rule.ts'
import { ACCOUNT_RULE, ADDRESS_RULE } from '../../src/sign-in/sign-in-rules.ts'

const RULE = { free: 3, baseMs: 1000, maxMs: 10_000, drainMs: 60_000 }

/** The bucket after failures at these times. */
function failAt(...times: readonly number[]): Failures | undefined {
  return times.reduce<Failures | undefined>((failures, at) => addFailure(failures, RULE, at), undefined)
}

t.test('the first failures cause no delay and each further one doubles it', async (t) => {
  let [failures, now] = [undefined as Failures | undefined, 1_000_000]
  for (const delay of [0, 0, 0, 1000, 2000, 4000, 8000, 10_000, 10_000]) {
    t.equal(delayMs(failures, RULE, now), delay)
    now += delay
    t.equal(delayMs(failures, RULE, now), 0, 'an attempt is allowed after the delay')
    failures = addFailure(failures, RULE, now)
  }
})

t.test('failures drain one by one', async (t) => {
  const failures = failAt(0, 0, 0)
  t.equal(concurrentAttempts(failures, RULE, 0), 1, 'one attempt is always allowed after the delay')
  t.equal(concurrentAttempts(failures, RULE, 60_000), 1)
  t.equal(concurrentAttempts(failures, RULE, 120_000), 2)
  t.equal(concurrentAttempts(failures, RULE, 180_000), 3)
  t.equal(concurrentAttempts(undefined, RULE, 0), 3)
  t.equal(delayMs(failAt(0, 0, 0, 120_000), RULE, 120_000), 0, 'a later failure is free again')
})

t.test('the bucket of any number of failures is empty in bounded time', async (t) => {
  const failures = failAt(...Array.from({ length: 10_000 }, () => 0))
  t.equal(failures?.clearsAt, 35 * 60_000)
  t.equal(delayMs(failures, RULE, 0), 10_000)
})

t.test('an account allows about a hundred guesses a day from all addresses', async (t) => {
  let [failures, now, guesses] = [undefined as Failures | undefined, 0, 0]
  for (; now < 86_400_000; guesses += 1) {
    failures = addFailure(failures, ACCOUNT_RULE, now)
    now += delayMs(failures, ACCOUNT_RULE, now)
  }
  t.ok(guesses > 96 && guesses < 140, `${guesses}`)
})

t.test(
  'one address is limited after fewer than 30 failures, also where each takes two seconds',
  async (t) => {
    for (const pause of [0, 100, 1000, 2000]) {
      let [failures, now, count] = [undefined as Failures | undefined, 0, 0]
      while (delayMs(failures, ADDRESS_RULE, now) === 0) {
        failures = addFailure(failures, ADDRESS_RULE, now)
        count += 1
        now += pause
      }
      t.ok(count >= 22 && count < 30, `${count} with ${pause} ms between them`)
    }
  },
)
