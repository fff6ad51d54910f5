import type { JSONWebKeySet, JWTVerifyGetKey } from 'jose'
import { createLocalJWKSet } from 'jose'
import { LRUCache } from 'lru-cache'
import type { FetchKeySet } from './fetch-key-set.ts'

/** The keys of an issuer cannot be read. */
export class IssuerUnavailable extends Error {
  constructor(issuer: string, options?: ErrorOptions) {
    super(`the keys of ${issuer} cannot be read`, options)
    this.name = 'IssuerUnavailable'
  }
}

export interface IssuerKeysOptions {
  readonly fetchKeySet: FetchKeySet
  /** A monotonic clock, in milliseconds. */
  readonly now: () => number
  /** Receives the reason of each failed request. */
  readonly onFailure: (issuer: string, error: unknown) => void
}

/**
 * Returns the function by which jose finds the key that a token's header names. Throws IssuerUnavailable if no usable
 * keys are known.
 */
export type FindIssuerKey = (issuer: string, keyId: string | undefined) => Promise<JWTVerifyGetKey>

interface Entry {
  readonly get: JWTVerifyGetKey
  readonly ids: ReadonlySet<string | undefined>
  readonly fetchedAt: number
}

interface IssuerState {
  known: Entry | undefined
  /** When the last request began. */
  triedAt: number
  fetching: Promise<void> | undefined
}

/** If trust rules name more issuers, the least recently used keys are dropped. */
const MAX_ISSUERS = 200
/** An unknown key id causes a request to the issuer at most this often, so that invented key ids cause no load. */
const UNKNOWN_KEY_MS = 30_000
/** If there are no keys, the request to the issuer is retried after this time. */
const RETRY_MS = 5000
/** Keys of this age are fetched again in the background, so that a withdrawn key loses its trust. */
const REFRESH_MS = 600_000
/** Keys of this age are not used any more while the issuer is unavailable. */
const MAX_AGE_MS = 3_600_000

/**
 * The public keys of issuers, in memory. Concurrent callers share one request. While an issuer is unavailable, keys
 * that are at most an hour old stay in use.
 */
export function createIssuerKeys({ fetchKeySet, now, onFailure }: IssuerKeysOptions): FindIssuerKey {
  const issuers = new LRUCache<string, IssuerState>({ max: MAX_ISSUERS })

  const stateOf = (issuer: string): IssuerState => {
    const found = issuers.get(issuer)
    if (found !== undefined) return found
    const created = { known: undefined, triedAt: -Infinity, fetching: undefined }
    issuers.set(issuer, created)
    return created
  }

  /** Fetches the keys, or waits for the request that runs. Never throws: `known` says whether it succeeded. */
  const refresh = (issuer: string, state: IssuerState): Promise<void> => {
    state.fetching ??= (async () => {
      state.triedAt = now()
      try {
        state.known = toEntry(await fetchKeySet(issuer), now())
      } catch (error) {
        onFailure(issuer, error)
      } finally {
        state.fetching = undefined
      }
    })()
    return state.fetching
  }
  /** Whether the last request began at least `afterMs` ago, or is still running and can be joined. */
  const mayFetch = ({ fetching, triedAt }: IssuerState, afterMs: number) =>
    fetching !== undefined || now() - triedAt >= afterMs

  return async (issuer, keyId) => {
    const state = stateOf(issuer)
    const ageOf = ({ fetchedAt }: Entry) => now() - fetchedAt
    if (state.known === undefined || ageOf(state.known) >= MAX_AGE_MS) {
      if (mayFetch(state, RETRY_MS)) await refresh(issuer, state)
    } else if (keyId !== undefined && !state.known.ids.has(keyId)) {
      if (mayFetch(state, UNKNOWN_KEY_MS)) await refresh(issuer, state)
    } else if (ageOf(state.known) >= REFRESH_MS && mayFetch(state, UNKNOWN_KEY_MS)) {
      void refresh(issuer, state)
    }
    const { known } = state
    if (known === undefined || ageOf(known) >= MAX_AGE_MS) throw new IssuerUnavailable(issuer)
    return known.get
  }
}

function toEntry(keySet: JSONWebKeySet, fetchedAt: number): Entry {
  return { get: createLocalJWKSet(keySet), ids: new Set(keySet.keys.map(({ kid }) => kid)), fetchedAt }
}
