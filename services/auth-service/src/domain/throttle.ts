export interface Throttle {
  /** Seconds until another attempt is looked at; 0 when it is now. */
  waitSeconds(key: string): number
  fail(key: string): void
  succeed(key: string): void
}

export interface ThrottleOptions {
  readonly now: () => number
  /** Failures that are free; containerd and BuildKit make two of one wrong password. */
  readonly maxFailures: number
  readonly windowMs: number
  /** Keys that are remembered; the oldest give way. */
  readonly maxKeys: number
}

/** Counts failed sign-ins in windows of fixed length, in memory. */
export function createThrottle({ now, maxFailures, windowMs, maxKeys }: ThrottleOptions): Throttle {
  const windows = new Map<string, { failures: number; endsAt: number }>()
  const find = (key: string) => {
    const window = windows.get(key)
    if (window !== undefined && window.endsAt > now()) return window
    windows.delete(key)
    return undefined
  }
  return {
    waitSeconds(key) {
      const window = find(key)
      if (window === undefined || window.failures < maxFailures) return 0
      return Math.ceil((window.endsAt - now()) / 1000)
    },
    fail(key) {
      const window = find(key) ?? { failures: 0, endsAt: now() + windowMs }
      window.failures += 1
      windows.set(key, window)
      const [oldest] = windows.keys()
      if (windows.size > maxKeys && oldest !== undefined) windows.delete(oldest)
    },
    succeed: (key) => void windows.delete(key),
  }
}
