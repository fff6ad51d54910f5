import t from 'tap'
import type { Circuit } from '../../../src/directory/ldap/circuit-breaker.ts'
import {
  CLOSED,
  afterFailure,
  afterRefusal,
  isClosed,
  isTrialDue,
} from '../../../src/directory/ldap/circuit-breaker.ts'

const NOW = 1_000_000

function failed(times: number, now = NOW): Circuit {
  return Array.from({ length: times }).reduce<Circuit>((circuit) => afterFailure(circuit, now), CLOSED)
}

t.test('the circuit opens after three failures in a row', async (t) => {
  for (const [times, closed] of [
    [0, true],
    [1, true],
    [2, true],
    [3, false],
  ] as const) {
    t.equal(isClosed(failed(times)), closed, `${times}`)
    t.equal(isTrialDue(failed(times), NOW), false)
  }
})

t.test('the pause before a trial doubles up to a limit', async (t) => {
  const waits = [3, 4, 5, 6, 7, 8, 100].map((times) => {
    const circuit = failed(times)
    let wait = 0
    while (!isTrialDue(circuit, NOW + wait)) wait += 500
    return wait
  })
  t.strictSame(waits, [1000, 2000, 4000, 5000, 5000, 5000, 5000])
})

t.test('refused service credentials open the circuit for a minute at once', async (t) => {
  for (const circuit of [CLOSED, failed(5)]) {
    const refused = afterRefusal(circuit, NOW)
    t.notOk(isClosed(refused))
    t.notOk(isTrialDue(refused, NOW + 59_999))
    t.ok(isTrialDue(refused, NOW + 60_000))
  }
})
