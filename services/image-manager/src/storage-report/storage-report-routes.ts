import type { FastifyPluginAsyncTypebox } from '@fastify/type-provider-typebox'
import type { ManagementApiOptions } from '../management-api/management-api.ts'
import { managementApi } from '../management-api/management-api.ts'
import { onlyClusterAdministrators } from '../management-api/only-cluster-administrators.ts'
import type { createStorageReport } from './storage-report.ts'
import { STORAGE_REPORT_SCHEMAS as SCHEMAS } from './storage-report-schemas.ts'

export interface StorageReportRoutesOptions extends ManagementApiOptions {
  readonly storageReport: ReturnType<typeof createStorageReport>
}

const LIMIT = 100

/** The sizes of the content of the storage, for operators. */
export const storageReportRoutes: FastifyPluginAsyncTypebox<StorageReportRoutesOptions> = async (
  app,
  options,
) => {
  const { storageReport } = options
  await managementApi(app, options)
  app.addHook('onRequest', onlyClusterAdministrators)

  app.get('/storage', { schema: SCHEMAS.report }, async () => {
    const { storage, ...counts } = await storageReport.report()
    if (storage === null) return { ...counts, storage }
    const { beganAt, endedAt } = storage
    return {
      ...counts,
      storage: { ...storage, beganAt: beganAt.toISOString(), endedAt: endedAt.toISOString() },
    }
  })

  app.get('/storage/namespaces', { schema: SCHEMAS.listNamespaces }, async ({ query }) => {
    const { items, next } = await storageReport.listNamespaces(query.after ?? '', query.limit ?? LIMIT)
    return { items: [...items], next }
  })

  app.get('/storage/repositories', { schema: SCHEMAS.listRepositories }, async ({ query }) => {
    const { items, next } = await storageReport.listRepositories(query.after ?? '', query.limit ?? LIMIT)
    return { items: [...items], next }
  })
}
