import { ProblemError } from '@registry-manager/http'
import type { FastifyInstance } from 'fastify'
import { queryOf } from '../access-tokens/form.ts'

declare module 'fastify' {
  interface FastifyContextConfig {
    /** The filters that a route of the provider's API knows. */
    readonly filters?: readonly string[]
  }
}

/**
 * Refuses filters that a route does not know, in everything registered on `app`. Ignored, they would say that everything
 * matches: all artifacts affected by a vulnerability, for one. Other unknown parameters are ignored.
 */
export function refuseUnknownFilters(app: FastifyInstance): void {
  app.addHook('onRequest', async (request) => {
    const { filters = [] } = request.routeOptions.config
    const unknown = [...queryOf(request.url).keys()].find(
      (name) => name.startsWith('filter.') && !filters.includes(name),
    )
    if (unknown === undefined) return
    const detail = `${unknown} is not a filter here: ${filters.join(', ') || 'there are none'}`
    throw new ProblemError({ status: 400, detail, field: unknown })
  })
}
