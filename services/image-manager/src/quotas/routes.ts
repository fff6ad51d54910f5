import type { FastifyPluginAsyncTypebox } from '@fastify/type-provider-typebox'
import { badField } from '@registry-manager/http'
import type { ManagementApiOptions } from '../management-api/management-api.ts'
import { managementApi } from '../management-api/management-api.ts'
import type { StorageUsage } from '../contents/storage-usage.ts'
import { onlyClusterAdministrators } from '../management-api/only-cluster-administrators.ts'
import { onlyManagers } from '../management-api/only-managers.ts'
import type { NamespaceUsage, Quota } from './quota.ts'
import { NO_QUOTA, quotaFault } from './quota.ts'
import { QUOTA_SCHEMAS as SCHEMAS } from './quota-schemas.ts'

export interface QuotasRoutesOptions extends ManagementApiOptions {
  readonly quotas: {
    findUsage(namespace: string): Promise<NamespaceUsage>
    listLargest(
      limit: number,
    ): Promise<{ readonly largest: readonly NamespaceUsage[]; readonly repositories: number }>
    setQuota(namespace: string, quota: Quota): Promise<NamespaceUsage>
    requestRecount(namespace: string): Promise<void>
  }
  readonly storageUsage: (onError: (error: unknown) => void) => Promise<StorageUsage>
}

/** The name of all namespaces together. */
const ALL = '*'
const LARGEST = 50

/** Quotas and usage of namespaces. */
export const quotasRoutes: FastifyPluginAsyncTypebox<QuotasRoutesOptions> = async (app, options) => {
  const { quotas, storageUsage } = options
  await managementApi(app, options, { allowEmpty: true })

  app.get(
    '/namespaces/:namespace/quota',
    { schema: SCHEMAS.getQuota, onRequest: onlyManagers },
    async (request) => quotas.findUsage(request.params.namespace).then(({ quota }) => quota),
  )

  app.put(
    '/namespaces/:namespace/quota',
    { schema: SCHEMAS.putQuota, onRequest: onlyClusterAdministrators },
    async ({ params, body }) => {
      const quota = { ...NO_QUOTA, ...body }
      const fault = quotaFault(quota)
      if (fault !== undefined) throw badField(fault)
      return (await quotas.setQuota(params.namespace, quota)).quota
    },
  )

  app.get(
    '/namespaces/:namespace/usage',
    { schema: SCHEMAS.getUsage, onRequest: onlyManagers },
    async (request) => {
      const { namespace } = request.params
      if (namespace !== ALL) return { ...(await quotas.findUsage(namespace)) }
      const { bytes } = await storageUsage((err) =>
        request.log.warn({ err }, 'could not compute the storage usage; the previous value stays in use'),
      )
      const { largest, repositories } = await quotas.listLargest(LARGEST)
      return {
        namespace,
        bytes,
        repositories,
        counting: bytes === null,
        quota: NO_QUOTA,
        largest: [...largest],
      }
    },
  )

  app.post(
    '/namespaces/:namespace/usage',
    { schema: SCHEMAS.recount, onRequest: onlyClusterAdministrators },
    async ({ params }, reply) => {
      await quotas.requestRecount(params.namespace)
      return reply.code(202).send({ ...(await quotas.findUsage(params.namespace)) })
    },
  )
}
