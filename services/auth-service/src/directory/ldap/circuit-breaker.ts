/** What is known of a server from asking it. Times are milliseconds since the epoch. */
export interface Circuit {
  /** Failures since the last success. */
  readonly failures: number
  /** While it is set nobody asks the server, but for a trial from then on. */
  readonly trialAt?: number
}

export const CLOSED: Circuit = { failures: 0 }

/** So many failures in a row are no accident. */
const MAX_FAILURES = 3
/** The first trial comes soon; while they fail, the next ones take longer. */
const [FIRST_TRIAL_MS, LAST_TRIAL_MS] = [1000, 5000]
/** A server that refuses our own password is not asked often: it might lock the account that others use too. */
const REFUSED_TRIAL_MS = 60_000

/** Whether requests may go to the server. */
export function isClosed({ trialAt }: Circuit): boolean {
  return trialAt === undefined
}

/** Whether it is time to try whether the server is back. */
export function isTrialDue({ trialAt }: Circuit, now: number): boolean {
  return trialAt !== undefined && now >= trialAt
}

/** After a request that the server did not answer. */
export function afterFailure({ failures, trialAt }: Circuit, now: number): Circuit {
  const count = failures + 1
  if (count < MAX_FAILURES && trialAt === undefined) return { failures: count }
  const trials = Math.max(0, count - MAX_FAILURES)
  return {
    failures: count,
    trialAt: now + Math.min(FIRST_TRIAL_MS * 2 ** Math.min(trials, 10), LAST_TRIAL_MS),
  }
}

/** After the server has refused the service account. */
export function afterRefusal({ failures }: Circuit, now: number): Circuit {
  return { failures: failures + 1, trialAt: now + REFUSED_TRIAL_MS }
}
