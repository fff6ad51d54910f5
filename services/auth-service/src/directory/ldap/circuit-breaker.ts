/** The state of one server. Times are in milliseconds since the epoch. */
export interface Circuit {
  /** Failures since the last success. */
  readonly failures: number
  /** When it is set, requests go to other servers, and a trial request is due from this time on. */
  readonly trialAt?: number
}

export const CLOSED: Circuit = { failures: 0 }

/** Failures in a row that open the circuit. */
const MAX_FAILURES = 3
/** The pause before a trial doubles with each failed trial. */
const [FIRST_TRIAL_MS, LAST_TRIAL_MS] = [1000, 5000]
/** After refused service credentials trials are rare: more of them could lock the service account. */
const REFUSED_TRIAL_MS = 60_000

/** Whether requests may go to the server. */
export function isClosed({ trialAt }: Circuit): boolean {
  return trialAt === undefined
}

/** Whether a trial request is due. */
export function isTrialDue({ trialAt }: Circuit, now: number): boolean {
  return trialAt !== undefined && now >= trialAt
}

/** The state after a request that failed or timed out. */
export function afterFailure({ failures, trialAt }: Circuit, now: number): Circuit {
  const count = failures + 1
  if (count < MAX_FAILURES && trialAt === undefined) return { failures: count }
  const trials = Math.max(0, count - MAX_FAILURES)
  return {
    failures: count,
    trialAt: now + Math.min(FIRST_TRIAL_MS * 2 ** Math.min(trials, 10), LAST_TRIAL_MS),
  }
}

/** The state after the server has refused the credentials of the service account. */
export function afterRefusal({ failures }: Circuit, now: number): Circuit {
  return { failures: failures + 1, trialAt: now + REFUSED_TRIAL_MS }
}
