import { ProblemError } from '@registry-manager/http'
import type { FastifyInstance } from 'fastify'

const METHODS = ['GET', 'HEAD', 'POST', 'PUT', 'PATCH', 'DELETE'] as const
type Method = (typeof METHODS)[number]

/** The methods that each path below `/containerregistries` has. */
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

/** Paths of the provider's API that this one does not have, each with the name of its resource. */
const NOT_OFFERED: Readonly<Record<string, string>> = {
  '/locations': 'locations',
  '/vulnerabilities/:vulnerabilityId': 'vulnerabilities',
  '/registries/:registryId/repositories/:name/artifacts/:digest/vulnerabilities': 'vulnerabilities',
}

/** OpenAPI describes only operations that are offered. */
const HIDDEN = { hide: true }

/**
 * Refuses the parts of the provider's API that this one does not have: an unsupported method with 405 and `Allow`, an
 * unsupported path with 501. Not with 404: a client would take that for a finished deletion, or for an available name.
 * Source: RFC 9110 §15.5.6 and §15.6.2; the provider's public SDKs for its paths.
 */
export async function notOffered(app: FastifyInstance): Promise<void> {
  for (const [url, served] of Object.entries(SERVED)) {
    const method = METHODS.filter((one) => !served.includes(one))
    const allow = served.join(', ')
    // Refused before the body is read.
    const refuse = async (request: { method: string }) => {
      const detail = `${request.method} is not supported here; supported: ${allow}`
      throw new ProblemError({ status: 405, detail, headers: { allow } })
    }
    app.route({ method, url, schema: HIDDEN, onRequest: refuse, handler: refuse })
  }
  for (const [url, resource] of Object.entries(NOT_OFFERED)) {
    const refuse = async () => {
      throw new ProblemError({ status: 501, detail: `this registry does not support ${resource}` })
    }
    app.route({ method: [...METHODS], url, schema: HIDDEN, onRequest: refuse, handler: refuse })
  }
}
