import type { FastifySchema } from 'fastify'

interface ParamsSchema {
  readonly properties?: Readonly<Record<string, { readonly title?: string }>>
  readonly required?: readonly string[]
}

/**
 * Removes the `-head` that @fastify/swagger appends to the operationId of a HEAD. Here no GET has the same operationId.
 */
export function keepOperationId(schema: FastifySchema | undefined): FastifySchema {
  return { ...schema, ...(schema?.operationId && { operationId: schema.operationId.replace(/-head$/, '') }) }
}

/**
 * Gives the wildcard of a route a name, because OpenAPI has no wildcards: `/repositories/*` becomes
 * `/repositories/:repository` if the schema of the parameter `*` has the title `repository`.
 */
export function nameWildcard(schema: FastifySchema, url: string): { schema: FastifySchema; url: string } {
  const params = schema.params as ParamsSchema | undefined
  const name = params?.properties?.['*']?.title
  if (params?.properties === undefined || name === undefined || !url.endsWith('*')) return { schema, url }
  const { '*': wildcard, ...others } = params.properties
  const properties = { ...others, [name]: wildcard }
  return {
    schema: { ...schema, params: { ...params, properties, required: Object.keys(properties) } },
    url: url.replace(/\*$/, `:${name}`),
  }
}
