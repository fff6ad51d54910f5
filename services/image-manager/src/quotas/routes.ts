import type { FastifyPluginAsyncTypebox } from '@fastify/type-provider-typebox'
import { badField } from '@registry-manager/http'
import type { ManagementApiOptions } from '../management-api/management-api.ts'
import { managementApi } from '../management-api/management-api.ts'
import { onlyClusterAdministrators } from '../management-api/only-cluster-administrators.ts'
import { onlyManagers } from '../management-api/only-managers.ts'
import type { ManageQuotas } from './manage-quotas.ts'
import { ALL_NAMESPACES } from './manage-quotas.ts'
import { QUOTA_SCHEMAS as SCHEMAS } from './quota-schemas.ts'

export interface QuotasRoutesOptions extends ManagementApiOptions {
  readonly manageQuotas: ManageQuotas
}

/** Quotas and usage of namespaces. */
export const quotasRoutes: FastifyPluginAsyncTypebox<QuotasRoutesOptions> = async (app, options) => {
  const { manageQuotas } = options
  await managementApi(app, options, { allowEmpty: true })

  app.get(
    '/namespaces/:namespace/quota',
    { schema: SCHEMAS.getQuota, onRequest: onlyManagers },
    async ({ params }) => (await manageQuotas.findUsage(params.namespace)).quota,
  )

  app.put(
    '/namespaces/:namespace/quota',
    { schema: SCHEMAS.putQuota, onRequest: onlyClusterAdministrators },
    async ({ params, body }) => {
      const result = await manageQuotas.setQuota(params.namespace, body)
      if ('fault' in result) throw badField(result.fault)
      return result.quota
    },
  )

  app.get(
    '/namespaces/:namespace/usage',
    { schema: SCHEMAS.getUsage, onRequest: onlyManagers },
    async ({ params, log }) => {
      if (params.namespace !== ALL_NAMESPACES) return { ...(await manageQuotas.findUsage(params.namespace)) }
      const { largest, ...total } = await manageQuotas.findTotalUsage((err) =>
        log.warn({ err }, 'could not compute the storage usage; the previous value stays in use'),
      )
      return { ...total, largest: [...largest] }
    },
  )

  app.post(
    '/namespaces/:namespace/usage',
    { schema: SCHEMAS.recount, onRequest: onlyClusterAdministrators },
    async ({ params }, reply) => reply.code(202).send({ ...(await manageQuotas.recount(params.namespace)) }),
  )
}
