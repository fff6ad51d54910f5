import { explainError } from '@registry-manager/http'
import type { HealthCheck } from '@registry-manager/http'
import type { SigningKeys } from './signing-keys.ts'

const [LOOK_MS, WARN_MS] = [2000, 30 * 86_400_000]

/** Looks for changed signing keys every two seconds (a mounted secret gives no better sign of a change). */
export function watchSigningKeys(
  keys: SigningKeys,
  onError: (error: unknown) => void,
): { check: HealthCheck; stop: () => void } {
  let failure: string | undefined
  const look = async () => {
    try {
      await keys.reload()
      failure = undefined
    } catch (error) {
      // Told once, not every two seconds.
      if (failure === undefined) onError(error)
      failure = explainError(error)
    }
  }
  const timer = setInterval(look, LOOK_MS)
  timer.unref()
  return {
    check: async () => {
      if (failure !== undefined) return { degraded: failure }
      const endsAt = keys.currentEndsAt()
      return endsAt.getTime() - Date.now() > WARN_MS
        ? 'ok'
        : { degraded: `the signing key's certificate ends ${endsAt.toISOString()}: rotate the keys` }
    },
    stop: () => clearInterval(timer),
  }
}
