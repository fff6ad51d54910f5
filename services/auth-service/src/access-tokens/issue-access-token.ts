import type { Access } from '@registry-manager/oci'
import type { AccountPrincipal } from '../principals/principal.ts'
import {
  conditionsOf,
  isPersonalToken,
  isUser,
  isWorkload,
  rightsOfPrincipal,
} from '../principals/principal.ts'
import { limitToRequest } from '../principals/workload.ts'
import { MAX_ACCESS_TOKEN_LENGTH, fitAccess } from './access-token-length.ts'
import type { ClaimsInput, SignedClaims } from './claims.ts'
import { makeClaims } from './claims.ts'
import type { Globals } from './grant.ts'
import { grant, onlyPull, findNotPullable } from './grant.ts'
import { createRecentTokens } from './recent-tokens.ts'

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
  readonly principal: AccountPrincipal
  /** Null requests an identity token. */
  readonly scopes: readonly Access[] | null
  /** The client's IP address, for grants that are limited to networks. */
  readonly address: string
  /**
   * The database is unavailable, and the principal comes from the credential cache. The account may have been revoked,
   * so the access token permits pulls only.
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
  /** Identifies the key that signs. */
  readonly currentKeyId: () => string
  /** Returns those of the given repositories that are global. */
  readonly findGlobal: (names: readonly string[]) => Promise<Globals>
  /** Milliseconds since the epoch. */
  readonly now: () => number
  /** Returns a unique `jti`. */
  readonly newId: () => string
}

interface SignedToken extends Omit<IssuedAccessToken, 'expiresIn'> {
  /** Seconds since the epoch. */
  readonly expiresAt: number
}

/**
 * The longest life of an offline token, in seconds. Clients use an access token until it expires, so for this long a
 * push may still be refused after the database is back. docker treats any shorter life as 60 seconds.
 * Source: distribution, registry/client/auth/session.go, `minimumTokenLifetimeSeconds`.
 */
const OFFLINE_LIFE_SECONDS = 60

export function createAccessTokenIssuer(options: AccessTokenIssuerOptions): AccessTokenIssuer {
  const { issuer, audience, lifeSeconds, sign, findGlobal, newId } = options
  const recentTokens = createRecentTokens(lifeSeconds)
  const signNew = async (claims: SignedClaims): Promise<SignedToken> => {
    const { access, exp, iat } = claims
    const token = await sign(claims)
    const signed = { token, expiresAt: exp, issuedAt: new Date(iat * 1000).toISOString(), access }
    if (access === null || token.length <= MAX_ACCESS_TOKEN_LENGTH) return signed
    const fitting = fitAccess(access, (await sign({ ...claims, access: [] })).length)
    return { ...signed, token: await sign({ ...claims, access: fitting }), access: fitting }
  }
  const issue = async (
    subject: ClaimsInput['subject'],
    access: readonly Access[] | null,
    { notAfter, offline = false }: Pick<PrincipalAccessRequest, 'notAfter' | 'offline'> = {},
  ): Promise<IssuedAccessToken> => {
    const now = Math.floor(options.now() / 1000)
    const life = offline ? Math.min(lifeSeconds, OFFLINE_LIFE_SECONDS) : lifeSeconds
    const key = JSON.stringify([subject, access, notAfter, offline, options.currentKeyId()])
    const { expiresAt, ...issued } = await recentTokens.get(key, now, () =>
      signNew(
        makeClaims({
          issuer,
          audience,
          subject,
          access,
          offline,
          now,
          lifeSeconds: life,
          notAfter,
          jti: newId(),
        }),
      ),
    )
    return { ...issued, expiresIn: expiresAt - now }
  }
  return {
    async forPrincipal({
      principal: given,
      scopes,
      address,
      offline = false,
      pullOnly = offline,
      ...limits
    }) {
      const principal = isWorkload(given) ? limitToRequest(given, scopes) : given
      const context = { address, now: options.now() }
      const rights = rightsOfPrincipal(principal)
      const notPullable = findNotPullable(rights, scopes ?? [], context)
      const globals = notPullable.length > 0 ? await findGlobal(notPullable) : new Map()
      const granted = scopes && grant(rights, scopes, { ...context, globals })
      // Never an identity token then: it would act for the whole account, and outlive the outage.
      const access = pullOnly ? onlyPull(granted?.access ?? []) : granted && granted.access
      return issue(subjectOf(principal), access, {
        notAfter: earlier(limits.notAfter, earlier(granted?.notAfter, endOf(principal))),
        offline,
      })
    },
    forService: (name, access) => issue({ sub: `service:${name}` }, access),
  }
}

/**
 * When the conditions of a token end, in seconds since the epoch. An identity token grants nothing, but ends at this
 * time, too.
 */
function endOf(principal: AccountPrincipal): number | undefined {
  const notAfter = conditionsOf(principal)?.notAfter
  return notAfter === undefined ? undefined : Math.floor(Date.parse(notAfter) / 1000)
}

function earlier(one: number | undefined, other: number | undefined): number | undefined {
  return one === undefined || other === undefined ? (one ?? other) : Math.min(one, other)
}

/**
 * The claims that name a principal. For a personal token they name its owner: a change of the owner revokes the access
 * token.
 */
function subjectOf(principal: AccountPrincipal): ClaimsInput['subject'] {
  const { username: sub, id: uid, generation: gen } = principal
  if (isPersonalToken(principal)) {
    return { sub, uid, kind: 'personal-token', gen, via: principal.via.id, via_name: principal.via.name }
  }
  if (isUser(principal)) return { sub, uid, gen }
  if (!isWorkload(principal)) return { sub, uid, kind: 'registry-token', gen }
  const rules = principal.rules.slice(1).map(({ id, generation }) => [id, generation] as const)
  return { sub, uid, kind: 'workload', gen, name: principal.name, ...(rules.length > 0 && { rules }) }
}
