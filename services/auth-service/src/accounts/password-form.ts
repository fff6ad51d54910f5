/** Spaces beyond ASCII: the characters of Unicode's category Zs, but for U+0020. */
const OTHER_SPACES = /[\p{Zs}--[ ]]/gv

/**
 * A password in the form in which it is stored and compared: other spaces become a space, and the composed form (NFC)
 * is used, for one keyboard sends `é` as one code point and another one as two. Source: RFC 8265 §4.2.2, OpaqueString.
 */
export function normalisePassword(password: string): string {
  return password.replace(OTHER_SPACES, ' ').normalize('NFC')
}
