import { ProblemError } from '@registry-manager/http'
import type { FastifyInstance } from 'fastify'

const METHODS = ['GET', 'HEAD', 'POST', 'PUT', 'PATCH', 'DELETE'] as const
type Method = (typeof METHODS)[number]

/** What is served below `/containerregistries`, by path. */
const SERVED: Readonly<Record<string, readonly Method[]>> = {
  '/names/:name': ['HEAD'],
  '/registries': ['GET'],
  '/registries/:registryId': ['GET'],
  '/registries/:registryId/tokens': ['GET', 'POST'],
  '/registries/:registryId/tokens/:tokenId': ['GET', 'PUT', 'PATCH', 'DELETE'],
  '/registries/:registryId/artifacts': ['GET'],
  '/registries/:registryId/repositories': ['GET'],
  '/registries/:registryId/repositories/:name': ['GET'],
  '/registries/:registryId/repositories/:name/artifacts': ['GET'],
  '/registries/:registryId/repositories/:name/artifacts/:digest': ['GET'],
}

/** What the provider has, and we do not, with the words for it. */
const NOT_OFFERED: Readonly<Record<string, string>> = {
  '/locations': 'locations',
  '/vulnerabilities/:vulnerabilityId': 'vulnerabilities',
  '/registries/:registryId/repositories/:name/artifacts/:digest/vulnerabilities': 'vulnerabilities',
}

/**
 * Answers what the provider's API has and this one does not. Never 404: clients take that on a deletion for "it is gone", and
 * on a check for "it is available". A method that a path does not have is 405 with `Allow`, what is missing as a whole 501.
 * Source: RFC 9110 §15.5.6 and §15.6.2; the provider's public SDKs for what there is.
 */
export async function notOffered(app: FastifyInstance): Promise<void> {
  for (const [url, served] of Object.entries(SERVED)) {
    const method = METHODS.filter((one) => !served.includes(one))
    const allow = served.join(', ')
    // Before a body is read: it does not matter.
    const refuse = async (request: { method: string }) => {
      const detail = `${request.method} is not offered here: ${allow} is`
      throw new ProblemError({ status: 405, detail, headers: { allow } })
    }
    app.route({ method, url, onRequest: refuse, handler: refuse })
  }
  for (const [url, what] of Object.entries(NOT_OFFERED)) {
    const refuse = async () => {
      throw new ProblemError({ status: 501, detail: `${what} are not offered by this registry` })
    }
    app.route({ method: [...METHODS], url, onRequest: refuse, handler: refuse })
  }
}
