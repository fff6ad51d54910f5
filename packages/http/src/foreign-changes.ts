import type { FastifyInstance } from 'fastify'
import type { IncomingHttpHeaders } from 'node:http'
import { ProblemError } from './problem.ts'

/** Methods that only read. Source: RFC 9110 §9.2.1. */
export const SAFE_METHODS: ReadonlySet<string> = new Set(['GET', 'HEAD', 'OPTIONS'])
/** Pages of our own origin, and navigation by the user. Source: Fetch Metadata Request Headers §2.3. */
const OWN_SITES = new Set(['same-origin', 'none'])

/**
 * Returns the reason why a request must be refused as cross-site request forgery; undefined if it may pass. Browsers
 * attach cached Basic credentials to the requests of any page, but name the page's origin. Other programs send neither
 * header. `null`, the origin of sandboxed pages, is foreign.
 * Source: RFC 6454 §7.3, `Origin`; Fetch Metadata Request Headers §2.3, `Sec-Fetch-Site`.
 */
export function foreignChange(
  method: string,
  headers: IncomingHttpHeaders,
  publicOrigin: string,
): string | undefined {
  if (SAFE_METHODS.has(method)) return undefined
  const { origin, 'sec-fetch-site': site } = headers
  if (origin !== undefined && origin !== publicOrigin) {
    return `changes from another origin are refused: Origin must be ${publicOrigin}, or be absent`
  }
  if (site !== undefined && !(typeof site === 'string' && OWN_SITES.has(site))) {
    return 'changes from another site are refused: Sec-Fetch-Site must be same-origin or none, or be absent'
  }
  return undefined
}

/**
 * Refuses changes that pages of another origin send, with 403. Applies to everything that is registered on `app`
 * afterwards, and runs before other hooks. `publicOrigin` is the origin of PUBLIC_URL.
 */
export function refuseForeignChanges(app: FastifyInstance, publicOrigin: string): void {
  app.addHook('onRequest', async (request) => {
    const detail = foreignChange(request.method, request.headers, publicOrigin)
    if (detail !== undefined) throw new ProblemError({ status: 403, detail })
  })
}
