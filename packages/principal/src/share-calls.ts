/** Calls that are in flight, by key. */
export interface SharedCalls<Result> {
  /**
   * Joins the call in flight with this key, or makes the call if there is none. A caller who joined repeats the
   * call if the shared one failed, or if `isFinal` refuses its result.
   */
  run(key: string, call: () => Promise<Result>, isFinal?: (result: Result) => boolean): Promise<Result>
  /** Lets the next `run` with this key make a call of its own. */
  forget(key: string): void
}

/** A failed call is repeated within this time only: otherwise joining could double a caller's deadline. */
const REPEAT_WITHIN_MS = 1000

/**
 * Lets concurrent callers share one call: after a cache miss, many requests need the same value at once. The shared
 * call may have started before a dependency recovered. Its failure therefore does not count for those who joined
 * later; they share one repeated call.
 */
export function shareCalls<Result>(): SharedCalls<Result> {
  const inFlight = new Map<string, Promise<Result>>()

  const start = (key: string, call: () => Promise<Result>) => {
    const promise = call().finally(() => {
      if (inFlight.get(key) === promise) inFlight.delete(key)
    })
    inFlight.set(key, promise)
    return promise
  }

  return {
    async run(key, call, isFinal = () => true) {
      const joined = inFlight.get(key)
      if (joined === undefined) return start(key, call)
      const joinedAt = performance.now()
      try {
        const result = await joined
        if (isFinal(result)) return result
      } catch (error) {
        if (performance.now() - joinedAt > REPEAT_WITHIN_MS) throw error
      }
      return inFlight.get(key) ?? start(key, call)
    },
    forget: (key) => void inFlight.delete(key),
  }
}
