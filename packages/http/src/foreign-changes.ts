import type { FastifyInstance, FastifyReply, FastifyRequest } from 'fastify'
import type { IncomingHttpHeaders } from 'node:http'
import { ProblemError } from './problem.ts'

/** Methods that only read. Source: RFC 9110 §9.2.1. */
const SAFE_METHODS = new Set(['GET', 'HEAD', 'OPTIONS'])
/** A page of our own origin, or the user: address bar, bookmark. Source: Fetch Metadata Request Headers §2.3. */
const OWN_SITES = new Set(['same-origin', 'none'])

/** Answers a request that a page of another origin sent. */
export type RefuseForeign = (request: FastifyRequest, reply: FastifyReply, detail: string) => unknown

/**
 * Why a request must be refused as another web page's (CSRF), or undefined when it may pass. Browsers attach cached Basic
 * credentials to requests that any page makes, but they say where a request comes from; programs that are no browsers
 * send neither header. `null`, the origin of sandboxed pages, is foreign.
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
    return `changes from another origin are refused: Origin must be ${publicOrigin}, or be left out`
  }
  if (site !== undefined && !(typeof site === 'string' && OWN_SITES.has(site))) {
    return 'changes from another site are refused: Sec-Fetch-Site must be same-origin or none, or be left out'
  }
  return undefined
}

/**
 * Refuses changes that pages of another origin send, in everything that is registered on `app` afterwards and before
 * anything else is done with them: 403, unless `refuse` answers otherwise. `publicOrigin` is PUBLIC_URL's origin.
 */
export function refuseForeignChanges(
  app: FastifyInstance,
  publicOrigin: string,
  refuse: RefuseForeign = throwForbidden,
): void {
  app.addHook('onRequest', async (request, reply) => {
    const detail = foreignChange(request.method, request.headers, publicOrigin)
    return detail === undefined ? undefined : refuse(request, reply, detail)
  })
}

function throwForbidden(_request: FastifyRequest, _reply: FastifyReply, detail: string): never {
  throw new ProblemError({ status: 403, detail })
}
