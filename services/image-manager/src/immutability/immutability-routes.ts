import type { FastifyPluginAsyncTypebox } from '@fastify/type-provider-typebox'
import { badField } from '@registry-manager/http'
import type { ManagementApiOptions } from '../management-api/management-api.ts'
import { managementApi } from '../management-api/management-api.ts'
import { onlyManagers } from '../management-api/only-managers.ts'
import { IMMUTABILITY_SCHEMAS as SCHEMAS } from './immutability-schemas.ts'
import type { ManageTagRules } from './manage-tag-rules.ts'
import type { TagRule } from './tag-rule.ts'

export interface ImmutabilityRoutesOptions extends ManagementApiOptions {
  readonly manageTagRules: ManageTagRules
}

const PATH = '/namespaces/:namespace/immutability'

/** The rules that make tags immutable, for those who manage a namespace. */
export const immutabilityRoutes: FastifyPluginAsyncTypebox<ImmutabilityRoutesOptions> = async (
  app,
  options,
) => {
  const { manageTagRules } = options
  await managementApi(app, options)
  const managers = { onRequest: onlyManagers }

  app.get(PATH, { schema: SCHEMAS.get, ...managers }, async ({ params }) =>
    toBody(await manageTagRules.get(params.namespace)),
  )

  app.put(PATH, { schema: SCHEMAS.put, ...managers }, async ({ params, body }) => {
    const { namespace } = params
    const refused = await manageTagRules.replace(namespace, body.rules)
    if (refused !== undefined) throw badField(refused.fault)
    return toBody(body.rules)
  })
}

function toBody(rules: readonly TagRule[]) {
  return { rules: rules.map(({ except, ...rule }) => ({ ...rule, ...(except && { except: [...except] }) })) }
}
