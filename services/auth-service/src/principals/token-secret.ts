import { crc32 } from 'node:zlib'

/*
 * The passwords of registry tokens and personal tokens: a prefix, 30 random characters and a checksum of 6, all letters
 * and digits. Secret scanners find a password by its prefix; the checksum tells real passwords from look-alikes.
 * Source: GitHub, "Behind GitHub's new authentication token formats".
 */
const ALPHABET = '0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz'
const PREFIXES = { 'registry-token': 'rmt_', 'personal-token': 'rmp_' } as const
/** 62³⁰ is 2¹⁷⁸. */
const RANDOM_LENGTH = 30
const CHECKSUM_LENGTH = 6
const BODY = /^[0-9A-Za-z]{36}$/
const PREFIX_LENGTH = 4

/** The kinds of tokens that have a password of this form. */
export type SecretKind = keyof typeof PREFIXES

/** Makes a password. `randomInt` returns a random whole number from 0 to below `max`. */
export function makeTokenSecret(kind: SecretKind, randomInt: (max: number) => number): string {
  const random = Array.from({ length: RANDOM_LENGTH }, () => ALPHABET[randomInt(ALPHABET.length)])
  const body = PREFIXES[kind] + random.join('')
  return body + checksumOf(body)
}

/** The kind of token whose password has the form of this string; undefined for any other string. */
export function secretKindOf(text: string): SecretKind | undefined {
  if (!BODY.test(text.slice(PREFIX_LENGTH))) return undefined
  if (text.startsWith(PREFIXES['registry-token'])) return 'registry-token'
  return text.startsWith(PREFIXES['personal-token']) ? 'personal-token' : undefined
}

/** Whether the checksum is right. A password with a wrong one was never issued, so no lookup is needed. */
export function hasRightChecksum(secret: string): boolean {
  const end = secret.length - CHECKSUM_LENGTH
  return checksumOf(secret.slice(0, end)) === secret.slice(end)
}

/** CRC-32 in base 62, most significant digit first. */
function checksumOf(body: string): string {
  let digits = ''
  for (let rest = crc32(body); digits.length < CHECKSUM_LENGTH; rest = Math.floor(rest / ALPHABET.length)) {
    digits = ALPHABET[rest % ALPHABET.length] + digits
  }
  return digits
}
