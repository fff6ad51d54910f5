import { createHash, randomInt, timingSafeEqual } from 'node:crypto'
import { crc32 } from 'node:zlib'

/*
 * A registry token's password: `rmt_`, 30 random characters, and a checksum of 6, all letters and digits. The
 * prefix lets secret scanners find one, the checksum lets them (and us) tell one from what only looks like it.
 * Source: GitHub, "Behind GitHub's new authentication token formats".
 */
const ALPHABET = '0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz'
const PREFIX = 'rmt_'
/** 62³⁰ is 2¹⁷⁸. */
const RANDOM_LENGTH = 30
const CHECKSUM_LENGTH = 6
const SHAPE = /^rmt_[0-9A-Za-z]{36}$/

/** Makes a password; `randomBelow` answers whole numbers of 0 or more, below the given one. */
export function makeTokenSecret(randomBelow: (max: number) => number = randomInt): string {
  const random = Array.from({ length: RANDOM_LENGTH }, () => ALPHABET[randomBelow(ALPHABET.length)])
  const body = PREFIX + random.join('')
  return body + checksumOf(body)
}

/** Whether a text looks like the password of a registry token: then it is nothing else. */
export function isTokenSecret(text: string): boolean {
  return SHAPE.test(text)
}

/** Whether the checksum is right: one that is not was never made here. */
export function hasRightChecksum(secret: string): boolean {
  const end = secret.length - CHECKSUM_LENGTH
  return checksumOf(secret.slice(0, end)) === secret.slice(end)
}

/** What is stored of a password. It is random, so a fast hash is enough. */
export function hashTokenSecret(secret: string): Buffer {
  return createHash('sha256').update(secret).digest()
}

/** Compares in a time that tells nothing. */
export function isSameHash(one: Buffer, other: Buffer): boolean {
  return one.length === other.length && timingSafeEqual(one, other)
}

/** CRC-32 in base 62, the highest digit first. */
function checksumOf(body: string): string {
  let digits = ''
  for (let rest = crc32(body); digits.length < CHECKSUM_LENGTH; rest = Math.floor(rest / ALPHABET.length)) {
    digits = ALPHABET[rest % ALPHABET.length] + digits
  }
  return digits
}
