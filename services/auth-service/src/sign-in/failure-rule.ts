/**
 * Failures as a bucket that empties by itself: each failure adds one, and one drains every `drainMs`. Two times say it
 * all (the generic cell rate algorithm), so replicas can add to it in one statement.
 */
export interface Failures {
  /** When the last failure was, in milliseconds since the epoch. */
  readonly failedAt: number
  /** When the bucket is empty again, in milliseconds since the epoch. */
  readonly clearsAt: number
}

export interface FailureRule {
  /** How many failures the bucket holds before there is a delay. */
  readonly free: number
  /** The first delay in milliseconds. Each further failure doubles it. */
  readonly baseMs: number
  readonly maxMs: number
  readonly drainMs: number
}

/** The bucket after one more failure. */
export function addFailure(failures: Failures | undefined, rule: FailureRule, now: number): Failures {
  const clearsAt = Math.max(now, failures?.clearsAt ?? 0) + rule.drainMs
  // Beyond a few doublings more failures change nothing.
  return { failedAt: now, clearsAt: Math.min(clearsAt, now + (rule.free + 32) * rule.drainMs) }
}

/** Milliseconds until another attempt may be made. */
export function delayMs(failures: Failures | undefined, rule: FailureRule, now: number): number {
  if (failures === undefined) return 0
  const beyond = levelAt(failures, rule, failures.failedAt) - rule.free
  if (beyond < 0) return 0
  const delay = Math.min(rule.maxMs, rule.baseMs * 2 ** beyond)
  return Math.max(0, failures.failedAt + delay - now)
}

/**
 * How many attempts may be in flight for one bucket. Passwords are hashed two at once, so more would only wait; and
 * each replica may judge so many beyond what is free, before it hears of the others' failures.
 */
const MAX_AT_ONCE = 4

/** How many attempts may run at once without more failures than are free, whatever becomes of them. At least one. */
export function attemptsAtOnce(failures: Failures | undefined, rule: FailureRule, now: number): number {
  const free = rule.free - (failures === undefined ? 0 : levelAt(failures, rule, now))
  return Math.max(1, Math.min(MAX_AT_ONCE, free))
}

/** How full the bucket is, in whole failures: one that has begun to drain counts. */
function levelAt({ clearsAt }: Failures, { drainMs }: FailureRule, at: number): number {
  return Math.max(0, Math.ceil((clearsAt - at) / drainMs))
}
