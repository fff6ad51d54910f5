import { isUsername } from '../accounts/user-input.ts'
import type { OidcProvider } from './config.ts'
import type { Claims } from './provider.ts'

/** A person at a provider. */
export interface Person {
  readonly subject: string
  readonly username: string
  /** Undefined if the provider has no claim of groups. */
  readonly groups: readonly string[] | undefined
  /** The session at the provider, which a logout token may name. */
  readonly session: string | undefined
}

/** The reason why claims are refused. */
export interface ClaimFault {
  readonly claim: string
  readonly rule: string
}

const MAX_LENGTH = 255
const MAX_GROUPS = 1000

/** Reads the claims that determine the account. A claim of the wrong type is refused, never converted. */
export function readClaims(
  claims: Claims,
  { usernameClaim, usernameDomain, groupsClaim }: OidcProvider,
): Person | ClaimFault {
  const { sub, sid } = claims
  if (!isShortString(sub)) return { claim: 'sub', rule: 'must be a string of 1 to 255 characters' }
  if (sid !== undefined && !isShortString(sid)) return { claim: 'sid', rule: 'must be a string' }
  const username = usernameOf(claims[usernameClaim], usernameDomain)
  if (username === undefined) {
    const ofDomain = usernameDomain === undefined ? '' : ` of the domain ${usernameDomain}`
    return {
      claim: usernameClaim,
      rule: `must be a name${ofDomain} of letters, digits and . _ @ - that begins with a letter or digit`,
    }
  }
  // At a provider that does not verify addresses, a person could enter the address of another person.
  if (usernameClaim === 'email' && claims['email_verified'] !== true) {
    return { claim: 'email_verified', rule: 'must be true, because the e-mail address names the account' }
  }
  const groups = groupsClaim === undefined ? undefined : (claims[groupsClaim] ?? [])
  if (groups !== undefined && !isGroups(groups)) {
    return {
      claim: groupsClaim ?? '',
      rule: `must be a list of at most ${MAX_GROUPS} names of 1 to ${MAX_LENGTH} characters`,
    }
  }
  return { subject: sub, username, groups: groups && [...new Set(groups)].toSorted(), session: sid }
}

function usernameOf(value: unknown, domain: string | undefined): string | undefined {
  if (typeof value !== 'string') return undefined
  const lower = value.toLowerCase()
  const suffix = domain === undefined ? '' : `@${domain.toLowerCase()}`
  if (!lower.endsWith(suffix)) return undefined
  const name = lower.slice(0, lower.length - suffix.length)
  const isOfOtherDomain = suffix !== '' && name.includes('@')
  return isUsername(name) && !isOfOtherDomain ? name : undefined
}

function isShortString(value: unknown): value is string {
  return typeof value === 'string' && value !== '' && value.length <= MAX_LENGTH && !value.includes('\0')
}

function isGroups(value: unknown): value is string[] {
  return Array.isArray(value) && value.length <= MAX_GROUPS && value.every(isShortString)
}
