import { ProblemError, explainUnknownField, queryOf } from '@registry-manager/http'
import type { FastifyRequest } from 'fastify'
import type { TObject } from 'typebox'
import { convertField } from './user-input.ts'

/**
 * Merges the fields that a request gives in the query, as a form and as JSON into one object, before it is validated:
 * `request.body` of a route with a body schema, otherwise `request.query`. Throws a 400 problem for a field that the
 * schema does not have, and for one that is given twice.
 */
export async function mergeFields(request: FastifyRequest): Promise<void> {
  const { body, querystring } = request.routeOptions.schema ?? {}
  const hasBody = body !== undefined
  const known = Object.keys(((body ?? querystring) as TObject).properties)
  const merged: Record<string, unknown> = {}
  for (const [field, given] of [...queryOf(request.url), ...fieldsOf(request.body)]) {
    if (!known.includes(field)) throw new ProblemError({ status: 400, ...explainUnknownField(field, known) })
    if (Object.hasOwn(merged, field)) {
      throw new ProblemError({ status: 400, detail: `${field} is given twice`, field })
    }
    merged[field] = convertField(field, given)
  }
  request.query = hasBody ? {} : merged
  request.body = hasBody ? merged : undefined
}

function fieldsOf(body: unknown): Iterable<readonly [string, unknown]> {
  if (body === undefined || body === null) return []
  if (body instanceof URLSearchParams) return body
  if (typeof body === 'object' && !Array.isArray(body)) return Object.entries(body)
  throw new ProblemError({ status: 400, detail: 'the body must be an object', field: 'body' })
}
