import type { JSONWebKeySet, JWK } from 'jose'

const MAX_KEYS = 100
/** The members that hold public keys or describe them. Source: RFC 7517 §4; RFC 7518 §6; RFC 8037 §2. */
const PUBLIC_MEMBERS = ['kty', 'use', 'key_ops', 'alg', 'kid', 'n', 'e', 'crv', 'x', 'y'] as const
const KEY_TYPES: ReadonlySet<unknown> = new Set(['RSA', 'EC', 'OKP'])

/**
 * Reads the public keys of a JSON Web Key Set. Keys of other types are ignored: with a shared secret everybody who can
 * read it could sign. Returns the fault of a value that is no key set, or that has more than 100 keys.
 */
export function parseKeySet(value: unknown): JSONWebKeySet | { readonly fault: string } {
  const { keys } = Object(value) as { keys?: unknown }
  if (!Array.isArray(keys)) return { fault: 'must be a JSON Web Key Set: {"keys": [...]}' }
  if (keys.length > MAX_KEYS) return { fault: `must have at most ${MAX_KEYS} keys, not ${keys.length}` }
  const known = keys.filter((key: unknown) => KEY_TYPES.has((Object(key) as JWK).kty)) as JWK[]
  return { keys: known.map(publicPart) }
}

function publicPart(key: JWK): JWK {
  const members = PUBLIC_MEMBERS.filter((name) => Object.hasOwn(key, name))
  return Object.fromEntries(members.map((name) => [name, key[name]])) as JWK
}
