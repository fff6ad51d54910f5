import type { FastifyPluginAsyncTypebox } from '@fastify/type-provider-typebox'
import { badField } from '@registry-manager/http'
import type { ManagementApiOptions } from '../management-api/management-api.ts'
import { managementApi } from '../management-api/management-api.ts'
import { onlyManagers } from '../management-api/only-managers.ts'
import { formatDryRunPosition, parseDryRunPosition } from './dry-run-position.ts'
import type { DryRunItem } from './dry-run.ts'
import type { ManageRetention } from './manage-retention.ts'
import type { RetentionRule } from './retention-rule.ts'
import { RETENTION_SCHEMAS as SCHEMAS } from './retention-schemas.ts'

export interface RetentionRoutesOptions extends ManagementApiOptions {
  readonly manageRetention: ManageRetention
}

const PATH = '/namespaces/:namespace/retention'
const DEFAULT_PAGE = 100

/** The rules of retention and their dry run, for those who manage a namespace. */
export const retentionRoutes: FastifyPluginAsyncTypebox<RetentionRoutesOptions> = async (app, options) => {
  const { manageRetention } = options
  await managementApi(app, options)
  const managers = { onRequest: onlyManagers }

  app.get(PATH, { schema: SCHEMAS.get, ...managers }, async ({ params }) =>
    toBody(await manageRetention.get(params.namespace)),
  )

  app.put(PATH, { schema: SCHEMAS.put, ...managers }, async ({ params, body }) => {
    const refused = await manageRetention.replace(params.namespace, body.rules)
    if (refused !== undefined) throw badField(refused.fault)
    return toBody(body.rules)
  })

  app.get(`${PATH}/runs`, { schema: SCHEMAS.runs, ...managers }, async ({ params }) => {
    const items = await manageRetention.listRuns(params.namespace)
    return { items: [...items] }
  })

  app.post(`${PATH}/dry-run`, { schema: SCHEMAS.dryRun, ...managers }, async ({ params, query, body }) => {
    const { limit = DEFAULT_PAGE } = query
    const after = query.after === undefined ? undefined : parseDryRunPosition(query.after)
    if (query.after !== undefined && after === undefined)
      throw badField({
        field: 'after',
        detail: `must be the value of next in a previous page, not ${query.after}`,
      })
    const page = await manageRetention.dryRun({ ...params, rules: body.rules, limit, after })
    if ('fault' in page) throw badField(page.fault)
    const { items, next } = page
    return { items: items.map(toItem), next: next === undefined ? null : formatDryRunPosition(next) }
  })
}

function toBody(rules: readonly RetentionRule[]) {
  return { rules: rules.map(({ except, ...rule }) => ({ ...rule, ...(except && { except: [...except] }) })) }
}

const NOTHING = { reason: null, rule: null, namespace: null, by: null }

function toItem({ repository, tag, digest, outcome, ...why }: DryRunItem) {
  return { repository, tag, digest, outcome, ...NOTHING, ...why }
}
