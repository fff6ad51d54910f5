import type { ErrorCode } from '@registry-manager/oci'
import { formatRegistryError } from '@registry-manager/oci'
import type { FastifyError, FastifyInstance, FastifyReply, FastifyRequest } from 'fastify'
import { STATUS_CODES } from 'node:http'
import { explainValidation } from './explain-validation.ts'
import type { Problem } from './problem.ts'
import { ProblemError } from './problem.ts'

/** Writes a problem as one kind of client understands it. */
export type ProblemFormat = (reply: FastifyReply, problem: Problem) => FastifyReply

/** Names the part that an error says is away, such as `the database`; undefined for every other error. */
export type WhoIsAway = (error: unknown) => string | undefined

/** RFC 9457, `application/problem+json`. */
export const problemJson: ProblemFormat = (reply, { status, detail, field }) =>
  reply
    .code(status)
    .type('application/problem+json')
    .send(JSON.stringify({ type: 'about:blank', title: STATUS_CODES[status], status, detail, field }))

/** The registry API's `{"errors":[…]}`. Source: OCI distribution-spec 1.1, "Error Codes". */
export const registryErrors: ProblemFormat = (reply, { status, detail, field }) => {
  const code = REGISTRY_CODES[status] ?? (status < 500 ? 'UNSUPPORTED' : 'UNKNOWN')
  const error = formatRegistryError({ code, status, message: detail, detail: field && { field } })
  return reply.code(status).type('application/json').send(JSON.stringify(error.body))
}

const REGISTRY_CODES: Readonly<Record<number, ErrorCode>> = {
  401: 'UNAUTHORIZED',
  403: 'DENIED',
  413: 'SIZE_INVALID',
  429: 'TOOMANYREQUESTS',
  503: 'UNAVAILABLE',
  504: 'UNAVAILABLE',
}

/**
 * Gives a plugin tree its error answers. Problems are told as they are; what nobody foresaw is logged and
 * told as a plain 500 without a word of it. `whoIsAway` knows the faults that mean that a part is away for now.
 */
export function setErrorFormat(
  app: FastifyInstance,
  format: ProblemFormat,
  whoIsAway: WhoIsAway = () => undefined,
): void {
  app.setErrorHandler((error: FastifyError, request, reply) => {
    const problem = toProblem(error, whoIsAway(error))
    if (problem.status >= 500) request.log.error({ err: error }, 'request failed')
    for (const [name, value] of Object.entries(problem.headers ?? {})) reply.header(name, value)
    return format(reply, problem)
  })
}

/** Answers requests that no route takes. */
export function setNotFoundFormat(app: FastifyInstance, format: ProblemFormat): void {
  app.setNotFoundHandler((request: FastifyRequest, reply) => {
    const path = request.url.split('?', 1)[0]
    return format(reply, { status: 404, detail: `there is nothing at ${request.method} ${path}` })
  })
}

function toProblem(error: FastifyError, away: string | undefined): Problem {
  if (error instanceof ProblemError) return error.problem
  if (away !== undefined) {
    return { status: 503, detail: `${away} is not answering`, headers: { 'retry-after': '5' } }
  }
  if (error.validation !== undefined) {
    return { status: 400, ...explainValidation(error.validation, error.validationContext) }
  }
  const status = error.statusCode ?? 500
  if (status >= 400 && status < 500) return { status, detail: error.message }
  return { status: 500, detail: 'something went wrong here; the log has the cause under this request' }
}
