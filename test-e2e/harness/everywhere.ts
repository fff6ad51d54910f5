import { setTimeout as sleep } from 'node:timers/promises'

/** Replicas take turns, so this number of consecutive responses includes each replica. */
const IN_A_ROW = 6

/**
 * Repeats a request until all replicas give the expected result. Returns the expected result, or after the time the
 * latest other one.
 */
export async function answerEverywhere<T>(
  ask: () => Promise<T>,
  expected: T,
  milliseconds: number,
): Promise<T> {
  const deadline = Date.now() + milliseconds
  for (let right = 0; right < IN_A_ROW;) {
    const answer = await ask()
    right = answer === expected ? right + 1 : 0
    if (right > 0) continue
    if (Date.now() > deadline) return answer
    await sleep(100)
  }
  return expected
}
