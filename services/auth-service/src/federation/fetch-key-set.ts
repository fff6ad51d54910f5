import { untilAborted } from '@registry-manager/http'
import type { JSONWebKeySet } from 'jose'
import type { FetchJson } from './fetch-json.ts'
import { discoveryUrl } from './issuer-url.ts'
import { parseKeySet } from './json-web-key-set.ts'

/** Reads the public keys that an issuer publishes. Throws with the reason, which is for the log only. */
export type FetchKeySet = (issuer: string) => Promise<JSONWebKeySet>

/** The deadline of both requests together. */
const DEADLINE_MS = 5000

/**
 * Reads an issuer's keys by OpenID Connect Discovery: its configuration, then the keys at `jwks_uri`. The configuration
 * must name exactly this issuer; otherwise one issuer could speak for another. The keys of a public issuer must not be
 * at an origin of FEDERATION_PRIVATE_ISSUERS: its owner would choose which of our addresses are requested.
 * Source: OpenID Connect Discovery 1.0 §4.3.
 */
export function createFetchKeySet(
  fetchJson: FetchJson,
  privateOrigins: ReadonlySet<string>,
  deadlineMs = DEADLINE_MS,
): FetchKeySet {
  const isPrivate = (address: string) => privateOrigins.has(new URL(address).origin)
  return async (issuer) => {
    const signal = AbortSignal.timeout(deadlineMs)
    const url = discoveryUrl(issuer)
    const configuration = await untilAborted(fetchJson(url, signal), signal)
    const { issuer: named, jwks_uri: keysUrl } = Object(configuration) as Record<string, unknown>
    if (named !== issuer) throw new Error(`${url} names another issuer`)
    if (typeof keysUrl !== 'string' || !URL.canParse(keysUrl)) throw new Error(`${url} has no jwks_uri`)
    if (isPrivate(keysUrl) && !isPrivate(issuer)) throw new Error(`${url} names keys at a private issuer`)
    const parsed = parseKeySet(await untilAborted(fetchJson(keysUrl, signal), signal))
    if ('fault' in parsed) throw new Error(`${keysUrl} ${parsed.fault}`)
    return parsed
  }
}
