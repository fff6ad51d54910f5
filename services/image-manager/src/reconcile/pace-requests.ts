import { ServiceCallError } from '@registry-manager/http'
import type { RegistryClient } from '@registry-manager/registry-client'

export interface PaceOptions {
  /** Maximum number of requests in progress. */
  readonly limit: number
  /** Whether an error means that the registry has too much to do. */
  readonly isOverload: (error: unknown) => boolean
  /** Waits for some milliseconds. Rejects when the work is stopped. */
  readonly pause: (ms: number) => Promise<void>
}

/** Maximum number of tries of one request. */
const MAX_TRIES = 5
/** The pause after the first response of an overloaded registry, and the longest pause. */
const [FIRST_PAUSE_MS, MAX_PAUSE_MS] = [1000, 30_000]

/** Wraps a registry client. All clients that it has wrapped share the limit. */
export type PaceRequests = (registry: RegistryClient) => RegistryClient

/**
 * Limits the requests that are in progress, and relieves an overloaded registry. After a response 429 or 503, or after
 * a time-out, all further requests wait. From then on half as many are sent at the same time, and the read is retried.
 * The pause doubles with each overload in a row, and is at least the registry's Retry-After. Each success allows a part
 * of one more request, up to the limit. A request that changes the registry is not retried.
 */
export function createPace(options: PaceOptions): PaceRequests {
  const { limit, isOverload, pause } = options
  const waiting: (() => void)[] = []
  let [allowed, running, overloads] = [limit, 0, 0]
  let pausing: Promise<void> | undefined

  const admit = () => {
    while (running < Math.floor(allowed) && waiting.length > 0) {
      running += 1
      waiting.shift()?.()
    }
  }
  const enter = async () => {
    const { promise, resolve } = Promise.withResolvers<void>()
    waiting.push(resolve)
    admit()
    await promise
  }
  const leave = () => {
    running -= 1
    admit()
  }
  const succeed = () => {
    overloads = 0
    allowed = Math.min(limit, allowed + 1 / allowed)
  }
  const backOff = (retryAfterSeconds = 0) => {
    // The other requests in progress meet the same overload.
    if (pausing !== undefined) return
    allowed = Math.max(1, Math.floor(allowed / 2))
    const doubled = FIRST_PAUSE_MS * 2 ** overloads
    overloads += 1
    pausing = pause(Math.min(MAX_PAUSE_MS, Math.max(doubled, retryAfterSeconds * 1000)))
    // Every request that waits for the pause gets its error.
    const end = () => void (pausing = undefined)
    pausing.then(end, end)
  }

  const send = async <Result>(isRead: boolean, request: () => Promise<Result>): Promise<Result> => {
    for (let tries = 1; ; tries++) {
      await enter()
      try {
        await pausing
        const result = await request()
        succeed()
        return result
      } catch (error) {
        if (!isOverload(error)) throw error
        backOff(error instanceof ServiceCallError ? error.retryAfterSeconds : undefined)
        if (!isRead || tries === MAX_TRIES) throw error
      } finally {
        leave()
      }
    }
  }

  return (registry) => {
    const paced = Object.entries(registry).map(
      ([name, request]: [string, (...args: never[]) => Promise<unknown>]) => [
        name,
        (...args: never[]) => send(!/^(?:put|delete)/.test(name), () => request(...args)),
      ],
    )
    return Object.fromEntries(paced) as RegistryClient
  }
}
