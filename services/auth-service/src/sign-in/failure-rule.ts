/**
 * A leaky bucket of failures: each failure adds one, and one drains every `drainMs`. Two times describe it (the generic
 * cell rate algorithm), so that a replica adds a failure with one SQL statement.
 */
export interface Failures {
  /** Time of the last failure, in milliseconds since the epoch. */
  readonly failedAt: number
  /** Time at which the bucket is empty, in milliseconds since the epoch. */
  readonly clearsAt: number
}

export interface FailureRule {
  /** Failures in the bucket that cause no delay. */
  readonly free: number
  /** The first delay in milliseconds. Each further failure doubles it. */
  readonly baseMs: number
  readonly maxMs: number
  readonly drainMs: number
}

/** The bucket after one more failure. */
export function addFailure(failures: Failures | undefined, rule: FailureRule, now: number): Failures {
  const clearsAt = Math.max(now, failures?.clearsAt ?? 0) + rule.drainMs
  return { failedAt: now, clearsAt: Math.min(clearsAt, now + fullMs(rule)) }
}

/** Milliseconds in which a full bucket drains. Beyond 32 doublings more failures do not change the delay. */
export function fullMs(rule: FailureRule): number {
  return (rule.free + 32) * rule.drainMs
}

/** Milliseconds until the next attempt is allowed. */
export function delayMs(failures: Failures | undefined, rule: FailureRule, now: number): number {
  if (failures === undefined) return 0
  const beyond = levelAt(failures, rule, failures.failedAt) - rule.free
  if (beyond < 0) return 0
  const delay = Math.min(rule.maxMs, rule.baseMs * 2 ** beyond)
  return Math.max(0, failures.failedAt + delay - now)
}

/**
 * Maximum number of concurrent attempts of one bucket. Two passwords are hashed at a time, so more attempts would only
 * wait. A replica learns late of failures that other replicas counted. Until then it exceeds a limit by at most this
 * number of attempts.
 */
const MAX_CONCURRENT = 4

/** Number of concurrent attempts that do not exceed the free failures even if all of them fail. At least one. */
export function concurrentAttempts(failures: Failures | undefined, rule: FailureRule, now: number): number {
  const free = rule.free - (failures === undefined ? 0 : levelAt(failures, rule, now))
  return Math.max(1, Math.min(MAX_CONCURRENT, free))
}

/** Failures in the bucket, rounded up. */
function levelAt({ clearsAt }: Failures, { drainMs }: FailureRule, at: number): number {
  return Math.max(0, Math.ceil((clearsAt - at) / drainMs))
}
