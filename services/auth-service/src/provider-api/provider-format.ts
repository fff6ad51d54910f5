import type { ProblemFormat } from '@registry-manager/http'
import { ProblemError } from '@registry-manager/http'

/*
 * The shapes that all routes under `/containerregistries` share.
 * Source: the provider's public SDKs, `ApiErrorResponse`, `PaginationLinks`, `Links`.
 */

export const BASE = '/containerregistries'

/** `{"httpStatus":409,"messages":[{"errorCode":"0","message":"…"}]}`. The provider has this one error code. */
export const providerErrors: ProblemFormat = (reply, { status, detail }) =>
  reply
    .code(status)
    .type('application/json')
    .send(JSON.stringify({ httpStatus: status, messages: [{ errorCode: '0', message: detail }] }))

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

/** Parses `offset` and `limit` of a query; a limit over 1000 counts as 1000. */
export function parsePage(query: URLSearchParams): Page {
  const offset = wholeNumber(query, 'offset', 0) ?? 0
  const limit = wholeNumber(query, 'limit', 1) ?? DEFAULT_LIMIT
  return { offset, limit: Math.min(limit, MAX_LIMIT) }
}

/** Parses a parameter as a whole number; undefined when it is absent. Throws 400 for any other text or range. */
export function wholeNumber(
  query: URLSearchParams,
  field: string,
  least: number,
  most = Number.MAX_SAFE_INTEGER,
): number | undefined {
  const text = query.get(field)
  if (text === null) return undefined
  const value = /^\d{1,15}$/.test(text) ? Number(text) : -1
  if (value >= least && value <= most) return value
  const range = most === Number.MAX_SAFE_INTEGER ? `of ${least} or more` : `from ${least} to ${most}`
  throw new ProblemError({ status: 400, detail: `${field} must be a whole number ${range}`, field })
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
  return /^[0-9a-f]{8}(?:-[0-9a-f]{4}){3}-[0-9a-f]{12}$/.test(id) ? id : undefined
}

export function notFound(resource: string): ProblemError {
  return new ProblemError({ status: 404, detail: `not found: there is no such ${resource}` })
}
