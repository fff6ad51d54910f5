import type { LookupAddress, LookupOptions } from 'node:dns'
import { lookup } from 'node:dns'
import { isIP } from 'node:net'
import { getCACertificates } from 'node:tls'
import { explainError } from '@registry-manager/http'
import { Agent, buildConnector, request } from 'undici'
import { isPublicAddress } from './public-address.ts'

export interface FetchJsonOptions {
  /** Origins that may have private addresses and may use http. */
  readonly privateOrigins: ReadonlySet<string>
  /** Trusted CA certificates of the private origins besides the public ones, in PEM form. */
  readonly ca: string | undefined
}

/** Reads JSON from an issuer within a deadline in milliseconds. Throws with the reason, which is for the log only. */
export type FetchJson = (url: string, signal: AbortSignal) => Promise<unknown>

/** Documents of real issuers have a few KiB. */
const MAX_BYTES = 256 * 1024
const CONNECT_TIMEOUT_MS = 5000
/** An issuer is asked every few minutes: a connection that stays open would be closed by its server. */
const KEEP_ALIVE_MS = 1000

/**
 * Creates the HTTP client for issuers. Namespace owners choose the URLs, so a request must not reach private addresses:
 * the address of each connection must be public, redirects are not followed, and a response has at most 256 KiB. The
 * address is checked where it is used, so a DNS name that changes between two lookups gains nothing.
 */
export function createFetchJson({ privateOrigins, ca }: FetchJsonOptions): FetchJson {
  const dispatcher = new Agent({
    connections: 2,
    keepAliveTimeout: KEEP_ALIVE_MS,
    connect: createConnector(privateOrigins, ca),
  })

  return async (url, signal) => {
    const { protocol, origin } = new URL(url)
    if (protocol !== 'https:' && !privateOrigins.has(origin)) throw new Error(`${url} is not an https URL`)
    const headers = { accept: 'application/json' }
    const { statusCode, body } = await request(url, { dispatcher, headers, signal })
    const chunks: Buffer[] = []
    let size = 0
    // Leaving the loop early closes the connection.
    for await (const chunk of body) {
      chunks.push(chunk as Buffer)
      size += (chunk as Buffer).length
      if (size > MAX_BYTES) throw new Error(`${url} returned more than ${MAX_BYTES} bytes`)
    }
    if (statusCode !== 200) throw new Error(`${url} returned ${statusCode}`)
    try {
      return JSON.parse(Buffer.concat(chunks).toString())
    } catch (error) {
      throw new Error(`${url} returned no JSON: ${explainError(error)}`, { cause: error })
    }
  }
}

function createConnector(
  privateOrigins: ReadonlySet<string>,
  ca: string | undefined,
): buildConnector.connector {
  const timeout = CONNECT_TIMEOUT_MS
  const connectPublic = buildConnector({ timeout, lookup: lookUpPublic })
  const connectPrivate = buildConnector({
    timeout,
    ...(ca !== undefined && { ca: [...getCACertificates(), ca] }),
  })
  return (options, callback) => {
    const { protocol, host = '', hostname } = options
    if (privateOrigins.has(new URL(`${protocol}//${host}`).origin)) return connectPrivate(options, callback)
    // No lookup follows for an address.
    const address = hostname.replaceAll(/[[\]]/g, '')
    if (isIP(address) !== 0 && !isPublicAddress(address)) return callback(new NotPublic(address), null)
    return connectPublic(options, callback)
  }
}

/** A host has no public address. */
class NotPublic extends Error {
  constructor(host: string) {
    super(`${host} has no public address; FEDERATION_PRIVATE_ISSUERS can allow its origin`)
    this.name = 'NotPublic'
  }
}

/** Resolves a name to its public addresses only. */
function lookUpPublic(
  hostname: string,
  options: LookupOptions,
  callback: (error: Error | null, address: string | LookupAddress[], family?: number) => void,
): void {
  lookup(hostname, { ...options, all: true }, (error, found) => {
    if (error !== null) return callback(error, [])
    const addresses = found.filter(({ address }) => isPublicAddress(address))
    const [first] = addresses
    if (first === undefined) return callback(new NotPublic(hostname), [])
    return options.all === true ? callback(null, addresses) : callback(null, first.address, first.family)
  })
}
