import { createPublicKey } from 'node:crypto'
import type { ServiceClient } from '@registry-manager/http'
import { Jwks } from './internal-api.ts'

/** A key that is not known is looked for again at most this often, so that made-up key ids cost nothing. */
const REFETCH_MS = 1000

/** Keys are trusted for so long: then auth-service is asked whether it still has them. */
const MAX_AGE_MS = 300_000
/** While it does not answer they stay, and it is asked again after this. */
const RETRY_MS = 10_000

/**
 * Finds auth-service's public keys by key id. They are fetched when one is asked for that is not known yet (the
 * next signing key is published before it is used, so a rotation is not noticed), and when they are old, so that
 * a key that was withdrawn is not trusted for ever.
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
      // Pulls go on while auth-service is away.
      await refetch().catch(() => undefined)
    }
    return keys.get(kid)
  }
}
