import type { LogoutToken, Provider } from './provider.ts'

export interface ProviderLogoutPorts {
  /** False if the logout token was used before. */
  insertLogout(issuer: string, token: Pick<LogoutToken, 'id' | 'expiresAt'>): Promise<boolean>
  /** The id of the account to which a person is linked. */
  findLinked(issuer: string, subject: string): Promise<string | undefined>
  /** The id of the account that has a browser session of this session at the provider. */
  findBySession(provider: string, session: string): Promise<string | undefined>
  /** Ends the sessions of an account. */
  endSessions(accountId: string): Promise<void>
}

/** `replayed`: the logout token was used before. */
export type LogoutResult = 'done' | 'replayed'

/**
 * Ends the sessions and tokens of the person whom a provider has signed out. A person without an account
 * here has nothing to end, which is no fault. Throws InvalidResponse and ProviderUnavailable.
 * Source: OpenID Connect Back-Channel Logout 1.0 §2.7.
 */
export async function signOutByProvider(
  provider: Provider,
  ports: ProviderLogoutPorts,
  logoutToken: string,
): Promise<LogoutResult> {
  const token = await provider.verifyLogoutToken(logoutToken)
  if (!(await ports.insertLogout(provider.issuer, token))) return 'replayed'
  const { subject, session } = token
  const accountId =
    subject === undefined
      ? session && (await ports.findBySession(provider.id, session))
      : await ports.findLinked(provider.issuer, subject)
  if (accountId !== undefined) await ports.endSessions(accountId)
  return 'done'
}
