import { ProblemError, queryOf } from '@registry-manager/http'
import type { FastifyInstance } from 'fastify'

declare module 'fastify' {
  interface FastifyContextConfig {
    /** The `filter.…` parameters of a route of the provider's API. */
    readonly filters?: readonly string[]
  }
}

/**
 * Refuses filters that a route does not have. An ignored filter would seem to match everything: a filter for a
 * vulnerability would list every artifact. Other unknown parameters are ignored.
 */
export function refuseUnknownFilters(app: FastifyInstance): void {
  app.addHook('onRequest', async (request) => {
    const { filters = [] } = request.routeOptions.config
    const unknown = [...queryOf(request.url).keys()].find(
      (name) => name.startsWith('filter.') && !filters.includes(name),
    )
    if (unknown === undefined) return
    const detail = `${unknown} is not supported; the filters of this path are: ${filters.join(', ') || 'none'}`
    throw new ProblemError({ status: 400, detail, field: unknown })
  })
}
