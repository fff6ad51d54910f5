import type { FastifyPluginAsyncTypebox } from '@fastify/type-provider-typebox'
import { ProblemError, unavailable } from '@registry-manager/http'
import type { ManagementApiOptions } from '../management-api/management-api.ts'
import { managementApi } from '../management-api/management-api.ts'
import { onlyManagers } from '../management-api/only-managers.ts'
import type { ManageTrash } from './manage-trash.ts'
import type { ListedEntry } from './trash-entry.ts'
import { TRASH_SCHEMAS as SCHEMAS } from './trash-schemas.ts'

export interface TrashRoutesOptions extends ManagementApiOptions {
  readonly manageTrash: ManageTrash
}

const PATH = '/namespaces/:namespace/trash'
/** The name of all repositories together. */
const ALL = '*'
const DEFAULT_PAGE = 50

/** The trash of a namespace, for those who manage it. */
export const trashRoutes: FastifyPluginAsyncTypebox<TrashRoutesOptions> = async (app, options) => {
  const { manageTrash } = options
  await managementApi(app, options, { allowEmpty: true })
  const managers = { onRequest: onlyManagers }

  app.get(PATH, { schema: SCHEMAS.list, ...managers }, async ({ params, query }) => {
    const { limit = DEFAULT_PAGE, after } = query
    const { items, next } = await manageTrash.list(toFilter(params), { limit, before: after })
    return { items: items.map(toBody), next } as never
  })

  app.post(`${PATH}/:id/restore`, { schema: SCHEMAS.restore, ...managers }, async ({ params }) => {
    const restored = await manageTrash.restore(toFilter(params), params.id)
    if (restored === undefined) throw noEntry(params)
    if (restored === 'being-restored') throw beingRestored(params)
    const { entry, result } = restored
    switch (result.outcome) {
      case 'restored': {
        const { manifests, tags, taken, missing } = result
        if (manifests > 0 || tags.length > 0 || missing.length === 0) {
          const { repository } = entry
          return { repository, manifests, tags: [...tags], taken: [...taken], missing: [...missing] }
        }
        const detail = `${entry.repository} cannot be restored: the registry lacks content that these manifests reference: ${missing.join(', ')}`
        throw new ProblemError({ status: 409, detail })
      }
      case 'being-deleted':
        throw new ProblemError({ status: 409, detail: `${result.reason}; retry when that has ended` })
      case 'denied':
        throw new ProblemError({ status: 409, detail: result.reason })
      case 'busy':
        throw unavailable(`${result.reason}; retry shortly`, 2)
    }
  })

  app.delete(`${PATH}/:id`, { schema: SCHEMAS.purge, ...managers }, async ({ params }, reply) => {
    const purged = await manageTrash.purge(toFilter(params), params.id)
    if (purged === undefined) throw noEntry(params)
    if (purged === 'being-restored') throw beingRestored(params)
    return reply.code(204).send(null)
  })
}

interface EntryParams {
  readonly namespace: string
  readonly id: string
}

function toFilter({ namespace }: Pick<EntryParams, 'namespace'>): string | undefined {
  return namespace === ALL ? undefined : namespace
}

function noEntry({ namespace, id }: EntryParams): ProblemError {
  const where = namespace === ALL ? 'the trash' : `the trash of ${namespace}`
  return new ProblemError({ status: 404, detail: `${where} has no entry ${id}` })
}

function beingRestored({ id }: EntryParams): ProblemError {
  const detail = `the entry ${id} is being restored; retry when that has ended`
  return new ProblemError({ status: 409, detail })
}

function toBody({ id, kind, repository, digest, tags, deletedAt, deletedBy, expiresAt }: ListedEntry) {
  const by = deletedBy === null ? null : { kind: deletedBy.kind, name: deletedBy.name }
  return { id, kind, repository, digest, tags, deletedAt, deletedBy: by, expiresAt }
}
