import type { ErrorCode } from '@registry-manager/oci'
import { formatRegistryError } from '@registry-manager/oci'
import type { FastifyError, FastifyInstance, FastifyReply, FastifyRequest } from 'fastify'
import { STATUS_CODES } from 'node:http'
import type { Dependency, UnavailableDependency } from './dependency.ts'
import { describeUnavailable } from './dependency.ts'
import { explainValidation } from './explain-validation.ts'
import type { Problem } from './problem.ts'
import { ProblemError } from './problem.ts'

/** Writes a problem as one kind of client understands it. */
export type ProblemFormat = (reply: FastifyReply, problem: Problem) => FastifyReply

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
 * Gives a plugin tree its error answers. Problems are sent as they are. Any other error is logged and
 * answered 500 without its message. `unavailableDependency` recognizes the errors that mean that a dependency is
 * unavailable: those are answered 503.
 */
export function setErrorFormat(
  app: FastifyInstance,
  format: ProblemFormat,
  unavailableDependency: UnavailableDependency = () => undefined,
): void {
  app.setErrorHandler((error: FastifyError, request, reply) => {
    const problem = toProblem(error, unavailableDependency(error))
    if (problem.status >= 500) request.log.error({ err: error }, 'request failed')
    return sendProblem(format, reply, { ...problem, detail: withRequestId(problem, request.id) })
  })
}

/**
 * The detail of a problem, with the request's id where the service log says more about it: for 500 and 503.
 * The id is the log's `reqId`.
 */
export function withRequestId({ status, detail }: Pick<Problem, 'status' | 'detail'>, id: string): string {
  if (status === 500) return `${detail} (request ${id}); details are in the service log`
  return status === 503 ? `${detail} (request ${id})` : detail
}

/** Answers requests that no route takes. */
export function setNotFoundFormat(app: FastifyInstance, format: ProblemFormat, toNotFound = notFound): void {
  app.setNotFoundHandler((request: FastifyRequest, reply) => sendProblem(format, reply, toNotFound(request)))
}

function notFound({ method, url }: FastifyRequest): Problem {
  return { status: 404, detail: `there is nothing at ${method} ${url.split('?', 1)[0]}` }
}

function sendProblem(format: ProblemFormat, reply: FastifyReply, problem: Problem): FastifyReply {
  for (const [name, value] of Object.entries(problem.headers ?? {})) reply.header(name, value)
  return format(reply, problem)
}

function toProblem(error: FastifyError, dependency: Dependency | undefined): Problem {
  if (error instanceof ProblemError) return error.problem
  if (dependency !== undefined) {
    return { status: 503, detail: describeUnavailable(dependency), headers: { 'retry-after': '5' } }
  }
  if (error.validation !== undefined) {
    return { status: 400, ...explainValidation(error.validation, error.validationContext) }
  }
  const status = error.statusCode ?? 500
  if (status >= 400 && status < 500) return { status, detail: error.message }
  return { status: 500, detail: 'internal error' }
}
