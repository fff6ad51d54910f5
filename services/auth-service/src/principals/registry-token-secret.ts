import { createHash, timingSafeEqual } from 'node:crypto'
import { crc32 } from 'node:zlib'

/*
 * A registry token's password: `rmt_`, 30 random characters and a checksum of 6, all letters and digits. Secret
 * scanners find a password by its prefix; the checksum tells real passwords from look-alikes.
 * Source: GitHub, "Behind GitHub's new authentication token formats".
 */
const ALPHABET = '0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz'
const PREFIX = 'rmt_'
/** 62³⁰ is 2¹⁷⁸. */
const RANDOM_LENGTH = 30
const CHECKSUM_LENGTH = 6
const SHAPE = /^rmt_[0-9A-Za-z]{36}$/

/** Makes a password. `randomInt` returns a random whole number from 0 to below `max`. */
export function makeRegistryTokenSecret(randomInt: (max: number) => number): string {
  const random = Array.from({ length: RANDOM_LENGTH }, () => ALPHABET[randomInt(ALPHABET.length)])
  const body = PREFIX + random.join('')
  return body + checksumOf(body)
}

/** Whether a text has the form of a registry token's password. Users cannot choose such a password. */
export function isRegistryTokenSecret(text: string): boolean {
  return SHAPE.test(text)
}

/** Whether the checksum is right. A password with a wrong one was never issued, so no lookup is needed. */
export function hasRightChecksum(secret: string): boolean {
  const end = secret.length - CHECKSUM_LENGTH
  return checksumOf(secret.slice(0, end)) === secret.slice(end)
}

/** The stored form of a password. A password is random, so a fast hash (SHA-256) is enough. */
export function hashRegistryTokenSecret(secret: string): Buffer {
  return createHash('sha256').update(secret).digest()
}

/** Compares in constant time. */
export function isSameHash(one: Buffer, other: Buffer): boolean {
  return one.length === other.length && timingSafeEqual(one, other)
}

/** CRC-32 in base 62, most significant digit first. */
function checksumOf(body: string): string {
  let digits = ''
  for (let rest = crc32(body); digits.length < CHECKSUM_LENGTH; rest = Math.floor(rest / ALPHABET.length)) {
    digits = ALPHABET[rest % ALPHABET.length] + digits
  }
  return digits
}
