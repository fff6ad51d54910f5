import { ProblemError, queryOf } from '@registry-manager/http'
import type { FastifyInstance } from 'fastify'

/**
 * Refuses filters that a route's schema does not have. An ignored filter would seem to match everything: a filter for a
 * vulnerability would list every artifact. Other unknown parameters are ignored.
 */
export function refuseUnknownFilters(app: FastifyInstance): void {
  app.addHook('onRequest', async (request) => {
    const query = request.routeOptions.schema?.querystring as { readonly properties: object } | undefined
    const filters = Object.keys(query?.properties ?? {}).filter(isFilter)
    const unknown = [...queryOf(request.url).keys()].find((name) => isFilter(name) && !filters.includes(name))
    if (unknown === undefined) return
    const detail = `${unknown} is not supported; the filters of this path are: ${filters.join(', ') || 'none'}`
    throw new ProblemError({ status: 400, detail, field: unknown })
  })
}

function isFilter(name: string): boolean {
  return name.startsWith('filter.')
}
