import { normalisePassword } from './password-form.ts'
import { isRegistryTokenSecret } from '../registry-tokens/registry-token-secret.ts'

const [MIN_BYTES, MAX_BYTES] = [8, 1024]

/**
 * Why a password may not be used, or undefined when it may. Any characters will do that Basic credentials can
 * carry: those hold no control characters. Source: RFC 7617 §2; RFC 5234, appendix B.1, `CTL`.
 */
export function passwordFault(given: string, username: string): string | undefined {
  const password = normalisePassword(given)
  const bytes = Buffer.byteLength(password)
  if (bytes < MIN_BYTES || bytes > MAX_BYTES) return `must be ${MIN_BYTES} to ${MAX_BYTES} bytes long`
  if (password.toLowerCase() === username) return 'must not be the username'
  if ([...password].some(isControl)) return 'must not hold control characters, such as tabs and line ends'
  // What looks like one signs in registry tokens, and nobody else.
  if (isRegistryTokenSecret(password)) return 'must not be the password of a registry token'
  return undefined
}

function isControl(character: string): boolean {
  return character < ' ' || character === '\x7f'
}
