import { isTokenSecret } from './token-secret.ts'

const [MIN_BYTES, MAX_BYTES] = [8, 1024]

/** Why a password may not be used, or undefined when it may. Any characters will do. */
export function passwordFault(password: string, username: string): string | undefined {
  const bytes = Buffer.byteLength(password)
  if (bytes < MIN_BYTES || bytes > MAX_BYTES) return `must be ${MIN_BYTES} to ${MAX_BYTES} bytes long`
  if (password.toLowerCase() === username) return 'must not be the username'
  // What looks like one signs in registry tokens, and nobody else.
  if (isTokenSecret(password)) return 'must not be the password of a registry token'
  return undefined
}
