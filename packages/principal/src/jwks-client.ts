import { createPublicKey } from 'node:crypto'
import type { ServiceClient } from '@registry-manager/http'
import { Jwks } from './internal-api.ts'

/** The keys are fetched at most this often because of an unknown key id: invented key ids must not cause load. */
const REFETCH_MS = 1000
/** After this time the keys are fetched again, so that a withdrawn key loses its trust. */
const MAX_AGE_MS = 300_000
/** Pause between attempts to refresh old keys. The old keys stay valid while auth-service is unavailable. */
const RETRY_MS = 10_000

/**
 * Finds auth-service's public keys by key id. The keys are fetched for an unknown key id and when they are old. The
 * next signing key is published before its first use, so a rotation causes no delay. Concurrent callers share one
 * request. `now` is a monotonic clock, in milliseconds.
 */
export function createJwksClient(
  authService: ServiceClient,
  now: () => number,
): (kid: string) => Promise<string | undefined> {
  let keys = new Map<string, string>()
  let fetchedAt = -Infinity
  let triedAt = -Infinity
  let fetching: Promise<void> | undefined

  const fetchKeys = async () => {
    const jwks = await authService.get('/.well-known/jwks.json', Jwks)
    keys = new Map(
      jwks.keys.map((jwk) => {
        const key = createPublicKey({ key: jwk, format: 'jwk' })
        return [jwk.kid, key.export({ type: 'spki', format: 'pem' }).toString()]
      }),
    )
    fetchedAt = now()
  }

  const refetch = () => {
    triedAt = now()
    fetching ??= fetchKeys().finally(() => (fetching = undefined))
    return fetching
  }

  return async (kid) => {
    if (!keys.has(kid)) {
      if (now() - fetchedAt >= REFETCH_MS) await refetch()
    } else if (now() - fetchedAt >= MAX_AGE_MS && (fetching !== undefined || now() - triedAt >= RETRY_MS)) {
      // Known keys keep working while auth-service is unavailable.
      await refetch().catch(() => undefined)
    }
    return keys.get(kid)
  }
}
