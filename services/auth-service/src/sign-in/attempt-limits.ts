import type { Counted, FailureMemory } from './failure-memory.ts'
import { concurrentAttempts, delayMs } from './failure-rule.ts'

/** Failures that all replicas count together. A copy in memory is used while the database is unavailable. */
export interface SharedFailures extends Pick<FailureMemory, 'find'> {
  /** Updates the copy in memory. */
  refresh(counted: readonly Counted[]): Promise<void>
  /** Adds a failure to each. */
  add(counted: readonly Counted[]): Promise<void>
}

export type AttemptResult<Result> =
  /** Undefined: the attempt failed and was counted. */
  { readonly result: Result | undefined } | { readonly retryAfterSeconds: number }

export interface LimitedAttempt<Result> {
  /** Equal for equal credentials. Concurrent attempts with the same id are made once, and share the result. */
  readonly id: string
  /** The attempt starts when none of these is limited. */
  readonly limits: readonly Counted[]
  /** A failure counts for each of these. */
  readonly counts: readonly Counted[]
  /** Undefined for a failure. */
  verify(): Promise<Result | undefined>
}

/** A place among the running attempts, which must be released. */
export interface Entered {
  leave(): void
}

export interface AttemptLimits<Result> {
  /** Seconds until the next attempt is allowed, as far as this process knows; 0 when one is allowed now. */
  retryAfterSeconds(limits: readonly Counted[]): number
  /**
   * Waits for a place for an attempt, before the database is queried. `isDone` says that the attempt needs no place
   * any more, for example because a concurrent attempt has verified the same credentials.
   */
  enter(limits: readonly Counted[], isDone: () => boolean): Promise<Entered | { retryAfterSeconds: number }>
  run(attempt: LimitedAttempt<Result>): Promise<AttemptResult<Result>>
}

/** Maximum number of waiting attempts of one key. */
const MAX_WAITING = 300
/** Maximum wait of an attempt, in milliseconds. The client then gets a Retry-After. */
const MAX_WAIT_MS = 10_000

/**
 * Makes attempts while their limits allow it. An attempt in flight counts as a failure until it succeeds, so concurrent
 * attempts cannot exceed the limit. The others wait for a result.
 */
export function createAttemptLimits<Result>(
  failures: SharedFailures,
  now: () => number,
): AttemptLimits<Result> {
  const running = new Map<string, Promise<Result | undefined>>()
  const inFlight = new Map<string, { count: number; waiting: Set<() => void> }>()

  const retryAfterSeconds = (limits: readonly Counted[]) => {
    const delays = limits.map(({ key, rule }) => delayMs(failures.find(key), rule, now()))
    return Math.ceil(Math.max(0, ...delays) / 1000)
  }

  /** The key in flight that an attempt must wait for; undefined when it can start. */
  const findBusy = (limits: readonly Counted[]) =>
    limits
      .map(({ key, rule }) => ({
        flight: inFlight.get(key),
        most: concurrentAttempts(failures.find(key), rule, now()),
      }))
      .find(({ flight, most }) => flight !== undefined && flight.count >= most)?.flight

  const occupy = (limits: readonly Counted[]) => {
    for (const { key } of limits) {
      const flight = inFlight.get(key) ?? { count: 0, waiting: new Set() }
      flight.count += 1
      inFlight.set(key, flight)
    }
  }

  const start = ({ id, limits, counts, verify }: LimitedAttempt<Result>): Promise<Result | undefined> => {
    occupy(limits)
    const verifying = (async () => {
      try {
        const result = await verify()
        if (result === undefined) await failures.add(counts)
        return result
      } finally {
        running.delete(id)
        for (const { key } of limits) release(key)
      }
    })()
    running.set(id, verifying)
    return verifying
  }

  const release = (key: string) => {
    const flight = inFlight.get(key)
    if (flight === undefined) return
    flight.count -= 1
    if (flight.count === 0) inFlight.delete(key)
    for (const wake of flight.waiting) wake()
  }

  return {
    retryAfterSeconds,

    async enter(limits, isDone) {
      const end = performance.now() + MAX_WAIT_MS
      for (;;) {
        if (isDone()) return { leave: () => undefined }
        const wait = retryAfterSeconds(limits)
        if (wait > 0) return { retryAfterSeconds: wait }
        const busy = findBusy(limits)
        if (busy === undefined) {
          occupy(limits)
          return { leave: () => limits.forEach(({ key }) => release(key)) }
        }
        if (isTooLong(busy, end)) return { retryAfterSeconds: 1 }
        await nextRelease(busy.waiting, end)
      }
    },

    async run(attempt) {
      const { id, limits } = attempt
      const end = performance.now() + MAX_WAIT_MS
      for (;;) {
        const same = running.get(id)
        if (same !== undefined) return { result: await same }
        const wait = retryAfterSeconds(limits)
        if (wait > 0) return { retryAfterSeconds: wait }
        const busy = findBusy(limits)
        if (busy === undefined) return { result: await start(attempt) }
        if (isTooLong(busy, end)) return { retryAfterSeconds: 1 }
        await nextRelease(busy.waiting, end)
      }
    },
  }
}

function isTooLong({ waiting }: { readonly waiting: ReadonlySet<unknown> }, end: number): boolean {
  return waiting.size >= MAX_WAITING || performance.now() >= end
}

/** Resolves when an attempt ends, at `end` at the latest. */
function nextRelease(waiting: Set<() => void>, end: number): Promise<void> {
  return new Promise((resolve) => {
    const wake = () => {
      clearTimeout(timer)
      waiting.delete(wake)
      resolve()
    }
    const timer = setTimeout(wake, Math.max(0, end - performance.now()))
    waiting.add(wake)
  })
}
