import type { Access } from '@registry-manager/oci'
import type { AccountPrincipal } from '../principals/principal.ts'
import { isPersonalToken, isUser, isWorkload } from '../principals/principal.ts'
import { limitToRequest } from '../principals/workload.ts'
import { MAX_ACCESS_TOKEN_LENGTH, fitAccess } from './access-token-length.ts'
import type { ClaimsInput, SignedClaims } from './claims.ts'
import { makeClaims } from './claims.ts'
import type { Globals } from './grant.ts'
import { grant, onlyPull, outOfReach } from './grant.ts'
import { withinScopes } from './within-scopes.ts'

export interface IssuedAccessToken {
  readonly token: string
  /** Seconds. */
  readonly expiresIn: number
  /** RFC 3339. */
  readonly issuedAt: string
  /** The granted access, as far as it fits into the access token; null for an identity token. */
  readonly access: readonly Access[] | null
}

export interface PrincipalAccessRequest {
  readonly account: AccountPrincipal
  /** Null requests an identity token. */
  readonly scopes: readonly Access[] | null
  /** The client's IP address, for grants that are limited to networks. */
  readonly address: string
  /**
   * The principal comes from the credential cache while the database is unavailable, so nobody can say whether the
   * account was revoked. The access token permits pulls only.
   */
  readonly offline?: boolean
  /** The access token permits pulls only: for anonymous principals. */
  readonly pullOnly?: boolean
  /** The latest time that the access token may expire at, in seconds since the epoch. */
  readonly notAfter?: number
}

export interface AccessTokenIssuer {
  forPrincipal(request: PrincipalAccessRequest): Promise<IssuedAccessToken>
  /** Issues an access token for one of our services. Its subject is `service:NAME`, which no username can be. */
  forService(name: string, access: readonly Access[]): Promise<IssuedAccessToken>
}

export interface AccessTokenIssuerOptions {
  readonly issuer: string
  readonly audience: string
  readonly lifeSeconds: number
  readonly sign: (claims: SignedClaims) => Promise<string>
  /** Returns the global ones of some repositories. */
  readonly findGlobal: (names: readonly string[]) => Promise<Globals>
  /** Milliseconds since the epoch. */
  readonly now: () => number
  /** Returns a unique `jti`. */
  readonly newId: () => string
}

/**
 * The longest life of an offline token, in seconds. Clients use an access token until it expires, so for this long a
 * push may still be refused after the database is back. docker treats any shorter life as 60 seconds.
 * Source: distribution, registry/client/auth/session.go, `minimumTokenLifetimeSeconds`.
 */
const OFFLINE_LIFE_SECONDS = 60

export function createAccessTokenIssuer(options: AccessTokenIssuerOptions): AccessTokenIssuer {
  const { issuer, audience, lifeSeconds, sign, findGlobal, newId } = options
  const issue = async (
    subject: ClaimsInput['subject'],
    access: readonly Access[] | null,
    { notAfter, offline = false }: Pick<PrincipalAccessRequest, 'notAfter' | 'offline'> = {},
  ): Promise<IssuedAccessToken> => {
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
      jti: newId(),
    })
    const issuedAt = new Date(now * 1000).toISOString()
    const issued = { expiresIn: claims.exp - now, issuedAt }
    const token = await sign(claims)
    if (access === null || token.length <= MAX_ACCESS_TOKEN_LENGTH) return { ...issued, token, access }
    const fitting = fitAccess(access, (await sign({ ...claims, access: [] })).length)
    return { ...issued, token: await sign({ ...claims, access: fitting }), access: fitting }
  }
  return {
    async forPrincipal({ account: given, scopes, address, offline = false, pullOnly = offline, ...limits }) {
      const account = isWorkload(given) ? limitToRequest(given, scopes ?? []) : given
      const context = { address, now: options.now() }
      const beyond = outOfReach(account, scopes ?? [], context)
      const globals = beyond.length > 0 ? await findGlobal(beyond) : new Map()
      const granted = scopes && grant(account, scopes, { ...context, globals })
      const permitted = granted && withinLimits(account, granted.access)
      // Never an identity token then: it would act for the whole account, and outlive the outage.
      const access = pullOnly ? onlyPull(permitted ?? []) : permitted
      return issue(subjectOf(account), access, {
        notAfter: earlier(limits.notAfter, granted?.notAfter),
        offline,
      })
    },
    forService: (name, access) => issue({ sub: `service:${name}` }, access),
  }
}

function earlier(one: number | undefined, other: number | undefined): number | undefined {
  return one === undefined || other === undefined ? (one ?? other) : Math.min(one, other)
}

function withinLimits(account: AccountPrincipal, access: readonly Access[]): readonly Access[] {
  const scopes = isPersonalToken(account) ? account.via.scopes : null
  return scopes === null ? access : withinScopes(access, scopes)
}

/** The claims that name a principal. Those of a personal token name its owner, whose changes end the access token. */
function subjectOf(account: AccountPrincipal): ClaimsInput['subject'] {
  const { username: sub, id: uid, generation: gen } = account
  if (isPersonalToken(account)) {
    return { sub, uid, kind: 'personal-token', gen, via: account.via.id, via_name: account.via.name }
  }
  if (isUser(account)) return { sub, uid, gen }
  if (!isWorkload(account)) return { sub, uid, kind: 'registry-token', gen }
  const rules = account.rules.slice(1).map(({ id, generation }) => [id, generation] as const)
  return { sub, uid, kind: 'workload', gen, name: account.name, ...(rules.length > 0 && { rules }) }
}
