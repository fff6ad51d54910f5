import type { FastifyInstance, FastifyRequest } from 'fastify'
import { ProblemError } from './problem.ts'

/** The part of a query's schema that defines how its values are read. */
interface QuerySchema {
  readonly properties?: Readonly<Record<string, { readonly type?: unknown }>>
}

const WHOLE_NUMBER = /^-?\d{1,15}$/
const BOOLEANS: ReadonlyMap<unknown, boolean> = new Map([
  ['true', true],
  ['false', false],
])

/**
 * Reads the query of every route by the route's schema before it is validated. The values of a query are strings: one
 * that has exactly the form of a whole number or a boolean is converted. Any other one stays a string, which validation
 * refuses. Refuses a name that is given twice unless the schema has a list, and NUL, which Postgres does not accept in
 * strings.
 */
export function readQueriesBySchema(app: FastifyInstance): void {
  app.addHook('onRoute', (route) => {
    const properties = (route.schema?.querystring as QuerySchema | undefined)?.properties
    if (properties === undefined) return
    const read = async ({ query }: FastifyRequest) => readQuery(query as Record<string, unknown>, properties)
    route.preValidation = [read, ...[route.preValidation ?? []].flat()]
  })
}

function readQuery(query: Record<string, unknown>, properties: NonNullable<QuerySchema['properties']>): void {
  for (const [name, { type }] of Object.entries(properties)) {
    const given = query[name]
    if (given === undefined || type === 'array') continue
    if (typeof given !== 'string') throw badParameter(name, 'is given twice')
    if (given.includes('\0')) throw badParameter(name, 'must not contain NUL')
    if (type === 'integer' && WHOLE_NUMBER.test(given)) query[name] = Number(given)
    if (type === 'boolean') query[name] = BOOLEANS.get(given) ?? given
  }
}

function badParameter(field: string, what: string): ProblemError {
  return new ProblemError({ status: 400, detail: `${field} ${what}`, field })
}
