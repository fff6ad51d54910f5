import { setTimeout as sleep } from 'node:timers/promises'

/**
 * Repeats a request until all replicas give the expected result: replicas take turns, so `consecutive` responses
 * include each of them. Returns the expected result, or after the time the latest other one.
 */
export async function waitForAllReplicas<T>(
  request: () => Promise<T>,
  expected: T,
  milliseconds: number,
  consecutive = 6,
): Promise<T> {
  const deadline = Date.now() + milliseconds
  for (let matches = 0; matches < consecutive;) {
    const result = await request()
    matches = result === expected ? matches + 1 : 0
    if (matches > 0) continue
    if (Date.now() > deadline) return result
    await sleep(100)
  }
  return expected
}
