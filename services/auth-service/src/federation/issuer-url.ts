import { isIP } from 'node:net'
import { isPublicAddress } from './public-address.ts'

/** Source: OpenID Connect Discovery 1.0 §4. */
const DISCOVERY = '/.well-known/openid-configuration'

/**
 * The reason why a string cannot be the issuer of a trust rule; undefined if it can. An issuer is an https URL without
 * credentials, query and fragment. `privateOrigins` are the origins that may use http and private addresses; left out
 * for an issuer that is never requested, because the rule has its keys.
 * Source: OpenID Connect Discovery 1.0 §2, `issuer`.
 */
export function issuerFault(
  text: string,
  privateOrigins: ReadonlySet<string> | undefined,
): string | undefined {
  const url = /^https?:\/\/[^?#@\\\s]+$/.test(text) && URL.canParse(text) ? new URL(text) : undefined
  if (url === undefined) {
    return 'must be a URL such as https://token.actions.githubusercontent.com, without a query and a fragment'
  }
  if (privateOrigins === undefined || privateOrigins.has(url.origin)) return undefined
  if (url.protocol !== 'https:') return `must be an https URL; ${OTHERWISE}`
  const host = url.hostname.replaceAll(/[[\]]/g, '')
  return isIP(host) === 0 || isPublicAddress(host) ? undefined : `must have a public address; ${OTHERWISE}`
}

const OTHERWISE =
  "otherwise give the issuer's keys as jwks, or ask the operator to name its origin in FEDERATION_PRIVATE_ISSUERS"

/** The URL of an issuer's OpenID configuration. */
export function discoveryUrl(issuer: string): string {
  return issuer.replace(/\/$/, '') + DISCOVERY
}
