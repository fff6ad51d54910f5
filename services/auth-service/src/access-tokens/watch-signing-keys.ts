import type { HealthCheck } from '@registry-manager/http'
import { createPeriodicWork, explainError } from '@registry-manager/http'

export interface WatchSigningKeysOptions {
  readonly keys: {
    reload(): Promise<void>
    currentEndsAt(): Date
  }
  /** Records a rotation, if there was one. Called after every reading of the folder. */
  recordRotation(): Promise<void>
  readonly now: () => number
  /** Receives only the first of consecutive errors: a folder that stays unreadable is logged once. */
  readonly onError: (error: unknown) => void
  /** The same for a rotation that could not be recorded; it is retried. */
  readonly onUnrecorded: (error: unknown) => void
}

const [POLL_MS, WARN_MS] = [2000, 30 * 86_400_000]

/** Polls the folder of the signing keys every two seconds: a mounted secret announces its changes in no other way. */
export function watchSigningKeys(options: WatchSigningKeysOptions) {
  const { keys, now, recordRotation, onError, onUnrecorded } = options
  let failure: string | undefined
  let isUnrecorded = false
  const record = async () => {
    try {
      await recordRotation()
      isUnrecorded = false
    } catch (error) {
      if (!isUnrecorded) onUnrecorded(error)
      isUnrecorded = true
    }
  }
  const reload = async () => {
    try {
      await keys.reload()
      failure = undefined
    } catch (error) {
      if (failure === undefined) onError(error)
      failure = explainError(error)
    }
    await record()
  }
  const check: HealthCheck = async () => {
    if (failure !== undefined) return { degraded: failure }
    const endsAt = keys.currentEndsAt()
    return endsAt.getTime() - now() > WARN_MS
      ? 'ok'
      : { degraded: `the certificate of the signing key expires at ${endsAt.toISOString()}: rotate the keys` }
  }
  const polling = createPeriodicWork({ everyMs: POLL_MS, waitFirst: true, work: reload })
  return { check, start: polling.start, stop: polling.stop }
}
