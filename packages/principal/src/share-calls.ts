/** Calls that are in flight, by key. */
export interface SharedCalls<Result> {
  /** Joins the call in flight with this key; makes the call where there is none. */
  run(key: string, call: () => Promise<Result>): Promise<Result>
  /** Lets the next `run` with this key make a call of its own. */
  forget(key: string): void
}

/** Lets concurrent callers share one call: after a cache miss, many requests need the same value at once. */
export function shareCalls<Result>(): SharedCalls<Result> {
  const inFlight = new Map<string, Promise<Result>>()
  return {
    run(key, call) {
      const known = inFlight.get(key)
      if (known !== undefined) return known
      const promise = call().finally(() => {
        if (inFlight.get(key) === promise) inFlight.delete(key)
      })
      inFlight.set(key, promise)
      return promise
    },
    forget: (key) => void inFlight.delete(key),
  }
}
