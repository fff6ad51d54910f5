import { isId } from '../principals/principal.ts'
import type { ErrorStatus, ProblemFormat } from '@registry-manager/http'
import { BASIC_BEARER_OR_SESSION, ProblemError, errorResponses } from '@registry-manager/http'
import type { TProperties } from 'typebox'
import { Type } from 'typebox'

/*
 * The shapes that all routes under `/containerregistries` share.
 * Source: the provider's public SDKs, `ApiErrorResponse`, `PaginationLinks`, `Links`.
 */

export const BASE = '/containerregistries'

/**
 * `{"httpStatus":409,"messages":[{"errorCode":"0","message":"…"}]}`. The provider uses this error code for all errors.
 */
export const providerErrors: ProblemFormat = (reply, { status, detail }) =>
  reply
    .code(status)
    .type('application/json')
    .send(JSON.stringify({ httpStatus: status, messages: [{ errorCode: '0', message: detail }] }))

const ErrorBody = Type.Object({
  httpStatus: Type.Integer(),
  messages: Type.Array(
    Type.Object({
      errorCode: Type.String(),
      message: Type.String({ description: 'The error, and the expected value.' }),
    }),
  ),
})

/** Error statuses that every route under `/containerregistries` can respond with. */
const ALWAYS = [401, 403, 429, 503] as const

/**
 * The common parts of the schemas of all routes under `/containerregistries`; `statuses` are those of the route's
 * errors.
 */
export const providerSchema = <Response extends object>(
  tag: 'registries' | 'registry tokens',
  response: Response,
  ...statuses: readonly ErrorStatus[]
) => ({
  tags: [tag],
  security: BASIC_BEARER_OR_SESSION,
  response: { ...errorResponses('application/json', ErrorBody, [...ALWAYS, ...statuses]), ...response },
})

const id = (of: string, example: string) =>
  Type.String({
    description: `The id of the ${of}. A colon before it is ignored, as the provider prints it.`,
    examples: [example],
  })
export const registryId = id('registry', '5f0c3b0e-3f6c-4d3e-9a53-0f3c3f1f2a11')
export const tokenId = id('registry token', '9d5b8f5e-64b1-4f0a-8b1c-2f6f0d1f7c22')

/** A time in the provider's form: RFC 3339 in whole seconds. */
export function formatTime(time: Date): string {
  return time.toISOString().replace(/\.\d+Z$/, 'Z')
}

export interface Page {
  readonly offset: number
  readonly limit: number
}

const DEFAULT_LIMIT = 100
const MAX_LIMIT = 1000

/** The query of a list. Unknown parameters are ignored. */
export const listQuery = <Fields extends TProperties>(fields: Fields) =>
  Type.Object({
    offset: Type.Optional(Type.Integer({ minimum: 0, default: 0 })),
    limit: Type.Optional(
      Type.Integer({
        minimum: 1,
        default: DEFAULT_LIMIT,
        description: `A limit over ${MAX_LIMIT} counts as ${MAX_LIMIT}.`,
      }),
    ),
    ...fields,
  })

/** The page that a list's query requests. */
export function pageOf({ offset = 0, limit = DEFAULT_LIMIT }: Partial<Page>): Page {
  return { offset, limit: Math.min(limit, MAX_LIMIT) }
}

/** Links to a page, the next and the previous one. */
export function pageLinks(path: string, query: URLSearchParams, { offset, limit }: Page, total: number) {
  const at = (start: number) => {
    const parameters = new URLSearchParams(query)
    parameters.set('offset', String(start))
    parameters.set('limit', String(limit))
    return `${path}?${parameters}`
  }
  return {
    self: at(offset),
    next: offset + limit < total ? at(offset + limit) : undefined,
    previous: offset > 0 ? at(Math.max(0, offset - limit)) : undefined,
  }
}

/** Parses an id in a path; undefined when it is none. The provider's documentation prints ids with a leading colon. */
export function idOf(parameter: string): string | undefined {
  const id = parameter.replace(/^:/, '').toLowerCase()
  return isId(id) ? id : undefined
}

export function notFound(resource: string): ProblemError {
  return new ProblemError({ status: 404, detail: `not found: there is no such ${resource}` })
}
