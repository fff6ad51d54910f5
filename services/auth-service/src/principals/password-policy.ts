import { parseJsonWebToken } from './json-web-token.ts'
import type { SecretKind } from './token-secret.ts'
import { secretKindOf } from './token-secret.ts'

const [MIN_BYTES, MAX_BYTES] = [8, 1024]
/** Spaces beyond ASCII: the characters of Unicode's category Zs except U+0020. */
const OTHER_SPACES = /[\p{Zs}--[ ]]/gv

const TOKEN_PASSWORDS: Readonly<Record<SecretKind, string>> = {
  'registry-token': 'a registry token password (rmt_ and 36 letters or digits)',
  'personal-token': 'a personal token (rmp_ and 36 letters or digits)',
}

/**
 * A password in the form that is hashed and compared: every space becomes U+0020, and the text is composed (NFC),
 * because keyboards send `é` as one code point or as two. Source: RFC 8265 §4.2.2, OpaqueString.
 */
export function normalisePassword(password: string): string {
  return password.replace(OTHER_SPACES, ' ').normalize('NFC')
}

/**
 * The reason why a password is not allowed; undefined if it is. Control characters are not allowed because Basic
 * credentials cannot contain them. Source: RFC 7617 §2; RFC 5234, appendix B.1, `CTL`.
 */
export function passwordFault(given: string, username: string): string | undefined {
  const password = normalisePassword(given)
  const bytes = Buffer.byteLength(password)
  if (bytes < MIN_BYTES || bytes > MAX_BYTES) return `must be ${MIN_BYTES} to ${MAX_BYTES} bytes long`
  if (password.toLowerCase() === username) return 'must not be the username'
  if ([...password].some(isControl))
    return 'must not contain control characters, such as tabs and line breaks'
  // Sign-in compares every password in such a format with tokens only.
  const kind = secretKindOf(password)
  if (kind !== undefined) return `must not have the format of ${TOKEN_PASSWORDS[kind]}`
  // Sign-in compares every JSON Web Token with trust rules only.
  if (parseJsonWebToken(password) !== undefined) return 'must not have the format of a JSON Web Token'
  return undefined
}

function isControl(character: string): boolean {
  return character < ' ' || character === '\x7f'
}
