import { createHash, timingSafeEqual } from 'node:crypto'

/** The stored form of a random secret. Such a secret cannot be guessed, so a fast hash (SHA-256) is enough. */
export function hashSecret(secret: string): Buffer {
  return createHash('sha256').update(secret).digest()
}

/** Compares in constant time. */
export function isSameHash(one: Buffer, other: Buffer): boolean {
  return one.length === other.length && timingSafeEqual(one, other)
}
