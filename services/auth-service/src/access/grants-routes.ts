import type { FastifyPluginAsyncTypebox } from '@fastify/type-provider-typebox'
import { badField, ProblemError, pathParameter } from '@registry-manager/http'
import { describeManagement, mayManageNamespace } from '@registry-manager/principal'
import type { FastifyRequest } from 'fastify'
import type { Static } from 'typebox'
import type { ManagementApiOptions } from '../sign-in/management-api.ts'
import { managementApi } from '../sign-in/management-api.ts'
import { onlyAdministrators, principalOf } from '../sign-in/require-principal.ts'
import { toConditionsBody } from './conditions.ts'
import type { StoredGrant } from './grant.ts'
import { INSTALLATION } from './grant.ts'
import type { Grant } from './grant-schemas.ts'
import { GRANT_SCHEMAS as SCHEMAS } from './grant-schemas.ts'
import type { ListNamespaces } from './list-namespaces.ts'
import type { ManageGrants } from './manage-grants.ts'
import { readPage } from './page.ts'

export interface GrantsRoutesOptions extends ManagementApiOptions {
  readonly manageGrants: ManageGrants
  readonly listNamespaces: ListNamespaces
  /** Milliseconds since the epoch. */
  readonly now: () => number
}

const GRANTS = '/namespaces/:namespace/grants'
/** A list of 10,000 grants. */
export const MAX_LIST_BYTES = 8 * 1024 * 1024

/** Namespaces and their grants. */
export const grantsRoutes: FastifyPluginAsyncTypebox<GrantsRoutesOptions> = async (app, options) => {
  const { manageGrants, listNamespaces, now } = options
  await managementApi(app, options)

  const contextOf = (request: FastifyRequest) => ({ address: request.ip, now: now() })
  /** Throws 403 unless the principal manages the namespace. The response is the same for every other namespace. */
  const onlyManagers = async (request: FastifyRequest) => {
    const namespace = pathParameter(request, 'namespace')
    if (namespace === INSTALLATION) return onlyAdministrators(request)
    if (mayManageNamespace(principalOf(request), namespace, contextOf(request))) return
    throw new ProblemError({ status: 403, detail: describeManagement(namespace) })
  }
  const managers = { onRequest: onlyManagers }

  app.get('/namespaces', { schema: SCHEMAS.namespaces }, async (request) =>
    readPage(
      request.query,
      (page) => listNamespaces(principalOf(request), page, contextOf(request)),
      ({ name }) => name,
    ),
  )

  app.get(GRANTS, { schema: SCHEMAS.list, ...managers }, async ({ params, query }) => {
    const page = await readPage(
      query,
      (page) => manageGrants.list(params.namespace, page),
      ({ id }) => id,
    )
    return { ...page, items: page.items.map(toBody) }
  })

  app.post(GRANTS, { schema: SCHEMAS.create, ...managers }, async (request, reply) => {
    const { namespace } = request.params
    const result = await manageGrants.create(namespace, request.body, principalOf(request).username)
    if ('fault' in result) throw badField(result.fault)
    if ('refused' in result) throw new ProblemError({ status: 409, detail: 'the same grant exists already' })
    const { grant } = result
    const location = `/namespaces/${encodeURIComponent(namespace)}/grants/${grant.id}`
    return reply.code(201).header('location', location).send(toBody(grant))
  })

  const listOptions = { schema: SCHEMAS.replaceAll, bodyLimit: MAX_LIST_BYTES, ...managers }
  app.put(GRANTS, listOptions, async (request) => {
    const { namespace } = request.params
    const { username } = principalOf(request)
    const result = await manageGrants.replaceAll(namespace, request.body.items, username)
    if ('fault' in result) throw badField(result.fault)
    return result
  })

  app.delete(`${GRANTS}/:grantId`, { schema: SCHEMAS.delete, ...managers }, async ({ params }, reply) => {
    if (!(await manageGrants.delete(params.namespace, params.grantId))) {
      throw new ProblemError({
        status: 404,
        detail: `there is no grant ${params.grantId} in ${params.namespace}`,
      })
    }
    return reply.code(204).send(null)
  })
}

function toBody(grant: StoredGrant): Static<typeof Grant> {
  const { id, subject, repositories, role, actions, conditions, createdAt, createdBy } = grant
  return {
    id,
    subject: { kind: subject.kind, name: subject.name },
    repositories,
    ...(role === undefined ? { actions: [...actions] } : { role }),
    ...(conditions && { conditions: toConditionsBody(conditions) }),
    createdAt,
    createdBy,
  } as Static<typeof Grant>
}
