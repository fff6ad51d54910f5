import { setTimeout as sleep } from 'node:timers/promises'

/** Replicas take turns, so this number of consecutive responses includes each replica. */
const CONSECUTIVE = 6

/**
 * Repeats a request until all replicas give the expected result. Returns the expected result, or after the time the
 * latest other one.
 */
export async function waitForAllReplicas<T>(
  request: () => Promise<T>,
  expected: T,
  milliseconds: number,
): Promise<T> {
  const deadline = Date.now() + milliseconds
  for (let matches = 0; matches < CONSECUTIVE;) {
    const result = await request()
    matches = result === expected ? matches + 1 : 0
    if (matches > 0) continue
    if (Date.now() > deadline) return result
    await sleep(100)
  }
  return expected
}
