import { randomUUID } from 'node:crypto'
import type { Access } from '@registry-manager/oci'
import type { SignedClaims } from './claims.ts'
import { makeClaims } from './claims.ts'
import type { Globals } from './grant.ts'
import { grant, onlyPull, outOfReach } from './grant.ts'
import type { Principal } from '../sign-in/principal.ts'
import { MAX_TOKEN_LENGTH, fitting } from './token-length.ts'

export interface IssuedToken {
  readonly token: string
  /** Seconds. */
  readonly expiresIn: number
  /** RFC 3339. */
  readonly issuedAt: string
  /** What of the access fits into the token; null for an identity token. */
  readonly access: readonly Access[] | null
}

export interface AccountTokenRequest {
  readonly account: Principal
  /** Null asks for an identity token. */
  readonly scopes: readonly Access[] | null
  /** Issued from memory, while nobody can say whether the account was revoked: then it only pulls. */
  readonly offline?: boolean
  /** The token grants pulls only: for principals without credentials. */
  readonly pullOnly?: boolean
  /** Seconds since the epoch that the token does not outlive. */
  readonly notAfter?: number
}

export interface TokenIssuer {
  forAccount(request: AccountTokenRequest): Promise<IssuedToken>
  /** A token that one of our services works with; its subject is `service:NAME`, which no user can be called. */
  forService(name: string, access: readonly Access[]): Promise<IssuedToken>
}

export interface TokenIssuerOptions {
  readonly issuer: string
  readonly audience: string
  readonly lifeSeconds: number
  readonly sign: (claims: SignedClaims) => Promise<string>
  /** Those of some repositories that every signed-in account may pull. */
  readonly findGlobal: (names: readonly string[]) => Promise<Globals>
  /** Milliseconds since the epoch. */
  readonly now: () => number
}

/**
 * The longest life of a token that is issued while the database is unavailable, in seconds. Clients use a token
 * until it expires, so this is how long a push may still be refused after the database is back. docker takes any
 * shorter life for 60 seconds.
 * Source: distribution, registry/client/auth/session.go, `minimumTokenLifetimeSeconds`.
 */
const OFFLINE_LIFE_SECONDS = 60

export function createTokenIssuer(options: TokenIssuerOptions): TokenIssuer {
  const { issuer, audience, lifeSeconds, sign, findGlobal } = options
  const issue = async (
    subject: { sub: string; uid?: string; gen?: number },
    access: readonly Access[] | null,
    { notAfter, offline = false }: Pick<AccountTokenRequest, 'notAfter' | 'offline'> = {},
  ): Promise<IssuedToken> => {
    const now = Math.floor(options.now() / 1000)
    const life = offline ? Math.min(lifeSeconds, OFFLINE_LIFE_SECONDS) : lifeSeconds
    const claims = makeClaims({
      issuer,
      audience,
      subject,
      access,
      offline,
      now,
      lifeSeconds: life,
      notAfter,
      jti: randomUUID(),
    })
    const issuedAt = new Date(now * 1000).toISOString()
    const issued = { expiresIn: claims.exp - now, issuedAt }
    const token = await sign(claims)
    if (access === null || token.length <= MAX_TOKEN_LENGTH) return { ...issued, token, access }
    const kept = fitting(access, (await sign({ ...claims, access: [] })).length)
    return { ...issued, token: await sign({ ...claims, access: kept }), access: kept }
  }
  return {
    async forAccount({ account, scopes, offline = false, pullOnly = offline, notAfter }) {
      const beyond = outOfReach(account, scopes ?? [])
      const globals = beyond.length > 0 ? await findGlobal(beyond) : undefined
      const granted = scopes && grant(account, scopes, globals)
      // Never an identity token then: it would speak for the whole account, and outlive the outage.
      const access = pullOnly ? onlyPull(granted ?? []) : granted
      const subject = { sub: account.username, uid: account.id, gen: account.generation }
      return issue(subject, access, { notAfter, offline })
    },
    forService: (name, access) => issue({ sub: `service:${name}` }, access),
  }
}
