import { createHmac, timingSafeEqual } from 'node:crypto'

/**
 * The token that a page sends with every change, to prove that it is a page of ours: other sites can make a browser
 * send the session cookie, but cannot read this token. It is derived from the session's secret, so it needs no storage
 * and ends with the session. Source: OWASP, "Cross-Site Request Forgery Prevention", HMAC-based token.
 */
export function csrfTokenOf(sessionToken: string): string {
  return createHmac('sha256', sessionToken).update('CSRF token').digest('base64url')
}

/** Compares a CSRF token with the value that a request has sent, in constant time. */
export function isSameCsrfToken(csrfToken: string, given: unknown): boolean {
  if (typeof given !== 'string') return false
  const [expected, actual] = [Buffer.from(csrfToken), Buffer.from(given)]
  return expected.length === actual.length && timingSafeEqual(expected, actual)
}
