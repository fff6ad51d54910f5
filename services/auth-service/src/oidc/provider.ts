/** The claims about a person: those of the ID token, and those of the UserInfo endpoint if needed. */
export type Claims = Readonly<Record<string, unknown>>

/** The secrets of one sign-in at a provider. */
export interface Attempt {
  readonly state: string
  readonly nonce: string
  /** Source: RFC 7636, PKCE. */
  readonly codeVerifier: string
}

/** A verified logout token: it names a person, a session at the provider, or both. */
export interface LogoutToken {
  readonly subject: string | undefined
  readonly session: string | undefined
  readonly id: string
  readonly expiresAt: Date
}

/** A provider, as the use cases see it. Every call has a deadline and reads a bounded number of bytes. */
export interface Provider {
  readonly id: string
  readonly issuer: string
  /** The URL that the browser is sent to. Throws ProviderUnavailable. */
  authorizationUrl(attempt: Attempt): Promise<string>
  /**
   * Verifies the provider's response to an attempt, and exchanges its code for claims. `callback` is the URL of ours
   * that the browser was sent to. Throws InvalidResponse and ProviderUnavailable.
   */
  claimsOf(callback: URL, attempt: Attempt): Promise<Claims>
  /** Throws InvalidResponse for a logout token that is not valid, and ProviderUnavailable. */
  verifyLogoutToken(token: string): Promise<LogoutToken>
}

/** The provider did not respond in time, sent too many bytes, or responded with an error of its own. */
export class ProviderUnavailable extends Error {
  constructor(message: string, options?: ErrorOptions) {
    super(message, options)
    this.name = 'ProviderUnavailable'
  }
}

/** The provider, or a browser in its name, has sent something that is not valid. The message has no secret. */
export class InvalidResponse extends Error {
  /** The provider's own error code, such as `access_denied`. Source: RFC 6749 §4.1.2.1. */
  readonly code: string | undefined

  constructor(message: string, { code, cause }: { code?: string | undefined; cause?: unknown } = {}) {
    super(message, { cause })
    this.name = 'InvalidResponse'
    this.code = code
  }
}
