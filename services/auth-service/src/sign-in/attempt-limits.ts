import type { Counted, FailureMemory } from './failure-memory.ts'
import { attemptsAtOnce, delayMs } from './failure-rule.ts'

/** Failures that all replicas count together, with a copy in memory that is used while the database is away. */
export interface SharedFailures extends Pick<FailureMemory, 'find'> {
  /** Brings the copy in memory up to date. */
  refresh(counted: readonly Counted[]): Promise<void>
  /** Adds a failure to each. */
  add(counted: readonly Counted[]): Promise<void>
}

export type Attempted<Result> =
  /** Undefined: the attempt failed, and was counted. */
  { readonly result: Result | undefined } | { readonly retryAfterSeconds: number }

export interface Attempt<Result> {
  /** Equal for attempts with the same credentials: while one runs, the others take its result. */
  readonly id: string
  /** What may not be limited for the attempt to be made. */
  readonly limits: readonly Counted[]
  /** What a failure is counted for. */
  readonly counts: readonly Counted[]
  judge(): Promise<Result | undefined>
}

/** A place that must be given back. */
export interface Entered {
  leave(): void
}

export interface AttemptLimits<Result> {
  /** Seconds until another attempt may be made, as far as this process knows; 0 when it is now. */
  retryAfterSeconds(limits: readonly Counted[]): number
  /**
   * Waits for one of the places that the failures of a key leave, before anything is asked of a database. `isNeedless`:
   * whether a place is not needed any more, such as when another attempt has answered the question.
   */
  enter(
    limits: readonly Counted[],
    isNeedless: () => boolean,
  ): Promise<Entered | { retryAfterSeconds: number }>
  run(attempt: Attempt<Result>): Promise<Attempted<Result>>
}

/** How many attempts may wait for those before them, for one key. */
const MAX_WAITING = 300
/** How long they wait, in milliseconds. Then the client is asked to come back. */
const MAX_WAIT_MS = 10_000

/**
 * Makes attempts only while their limits allow it. Attempts in flight count as failures until they have succeeded:
 * however many come at once, no more are verified than there are failures left. The others wait for the result.
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

  /** What the attempt must wait for, unless it may be made now. */
  const findBusy = (limits: readonly Counted[]) =>
    limits
      .map(({ key, rule }) => ({
        flight: inFlight.get(key),
        most: attemptsAtOnce(failures.find(key), rule, now()),
      }))
      .find(({ flight, most }) => flight !== undefined && flight.count >= most)?.flight

  const takeOff = (limits: readonly Counted[]) => {
    for (const { key } of limits) {
      const flight = inFlight.get(key) ?? { count: 0, waiting: new Set() }
      flight.count += 1
      inFlight.set(key, flight)
    }
  }

  const start = ({ id, limits, counts, judge }: Attempt<Result>): Promise<Result | undefined> => {
    takeOff(limits)
    const verified = (async () => {
      try {
        const result = await judge()
        if (result === undefined) await failures.add(counts)
        return result
      } finally {
        running.delete(id)
        for (const { key } of limits) land(key)
      }
    })()
    running.set(id, verified)
    return verified
  }

  const land = (key: string) => {
    const flight = inFlight.get(key)
    if (flight === undefined) return
    flight.count -= 1
    if (flight.count === 0) inFlight.delete(key)
    for (const wake of flight.waiting) wake()
  }

  return {
    retryAfterSeconds,

    async enter(limits, isNeedless) {
      const end = performance.now() + MAX_WAIT_MS
      for (;;) {
        if (isNeedless()) return { leave: () => undefined }
        const wait = retryAfterSeconds(limits)
        if (wait > 0) return { retryAfterSeconds: wait }
        const busy = findBusy(limits)
        if (busy === undefined) {
          takeOff(limits)
          return { leave: () => limits.forEach(({ key }) => land(key)) }
        }
        if (isTooLong(busy, end)) return { retryAfterSeconds: 1 }
        await nextLanding(busy.waiting, end)
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
        await nextLanding(busy.waiting, end)
      }
    },
  }
}

function isTooLong({ waiting }: { readonly waiting: ReadonlySet<unknown> }, end: number): boolean {
  return waiting.size >= MAX_WAITING || performance.now() >= end
}

/** Resolves when an attempt has ended, or in time. */
function nextLanding(waiting: Set<() => void>, end: number): Promise<void> {
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
