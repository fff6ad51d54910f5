import { createPublicKey } from 'node:crypto'
import type { ServiceClient } from './http-client.ts'
import { Jwks } from './internal-api.ts'

/** A key that is not known is looked for again at most this often, so that made-up key ids cost nothing. */
const REFETCH_MS = 1000

/**
 * Finds auth-service's public keys by key id. They are fetched when one is asked for that is not known yet;
 * the next signing key is published before it is used, so a rotation is not noticed.
 */
export function createJwksClient(
  authService: ServiceClient,
  now: () => number,
): (kid: string) => Promise<string | undefined> {
  let keys = new Map<string, string>()
  let fetchedAt = -Infinity
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

  return async (kid) => {
    if (!keys.has(kid) && now() - fetchedAt >= REFETCH_MS) {
      fetching ??= fetchKeys().finally(() => (fetching = undefined))
      await fetching
    }
    return keys.get(kid)
  }
}
