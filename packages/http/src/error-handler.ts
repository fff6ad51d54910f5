import type { ErrorCode } from '@registry-manager/oci'
import { describeNoEndpoint, formatRegistryError } from '@registry-manager/oci'
import type { FastifyError, FastifyInstance, FastifyReply, FastifyRequest } from 'fastify'
import { STATUS_CODES } from 'node:http'
import type { Dependency, UnavailableDependency } from './dependency.ts'
import { describeUnavailable } from './dependency.ts'
import { explainValidation } from './explain-validation.ts'
import type { Problem } from './problem.ts'
import { ProblemError } from './problem.ts'

/** Sends a problem in the error format of an API. */
export type ProblemFormat = (reply: FastifyReply, problem: Problem) => FastifyReply

/** RFC 9457, `application/problem+json`. */
export const problemJson: ProblemFormat = (reply, { status, detail, field }) =>
  reply
    .code(status)
    .type('application/problem+json')
    .send(JSON.stringify({ type: 'about:blank', title: STATUS_CODES[status], status, detail, field }))

/** The registry API's `{"errors":[…]}`. Source: OCI distribution-spec 1.1, "Error Codes". */
export const registryErrors: ProblemFormat = (reply, { status, detail: message, field, help }) => {
  const code = REGISTRY_CODES[status] ?? (status < 500 ? 'UNSUPPORTED' : 'UNKNOWN')
  const detail = field === undefined ? help && { help } : { field }
  const error = formatRegistryError({ code, status, message, detail })
  return reply.code(status).type('application/json').send(JSON.stringify(error.body))
}

/** Endpoints of OAuth 2.0. Source: RFC 6749 §5.2. */
export const oauthErrors: ProblemFormat = (reply, { status, detail }) => {
  const error = status >= 500 ? 'temporarily_unavailable' : 'invalid_request'
  return reply
    .code(status)
    .type('application/json')
    .send(JSON.stringify({ error, error_description: detail }))
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
 * Sets the error format of a plugin tree. The response to a ProblemError is its problem. Errors that
 * `unavailableDependency` recognizes become 503. Any other error is logged and becomes 500 without its message.
 */
export function setErrorFormat(
  app: FastifyInstance,
  format: ProblemFormat,
  unavailableDependency: UnavailableDependency = () => undefined,
): void {
  app.setErrorHandler((error: FastifyError, request, reply) => {
    const problem = toProblem(error, unavailableDependency(error), request)
    if (problem.status >= 500) request.log.error({ err: error }, 'request failed')
    return sendProblem(format, reply, { ...problem, detail: withRequestId(problem, request.id) })
  })
}

/**
 * Adds the request id (`reqId` in the log) to the detail of a 500 or 503, about which the service log has more.
 */
export function withRequestId({ status, detail }: Pick<Problem, 'status' | 'detail'>, id: string): string {
  if (status === 500) return `${detail} (request ${id}); details are in the service log`
  return status === 503 ? `${detail} (request ${id})` : detail
}

/** Sets the error format of requests that match no route. */
export function setNotFoundFormat(app: FastifyInstance, format: ProblemFormat, toNotFound = notFound): void {
  app.setNotFoundHandler((request: FastifyRequest, reply) => sendProblem(format, reply, toNotFound(request)))
}

function notFound({ method, url }: FastifyRequest): Problem {
  return { status: 404, detail: describeNoEndpoint(method, url) }
}

function sendProblem(format: ProblemFormat, reply: FastifyReply, problem: Problem): FastifyReply {
  for (const [name, value] of Object.entries(problem.headers ?? {})) reply.header(name, value)
  return format(reply, problem)
}

function toProblem(
  error: FastifyError,
  dependency: Dependency | undefined,
  request: FastifyRequest,
): Problem {
  if (error instanceof ProblemError) return error.problem
  if (dependency !== undefined) {
    return { status: 503, detail: describeUnavailable(dependency), headers: { 'retry-after': '5' } }
  }
  if (error.validation !== undefined) {
    const { validation, validationContext: part = 'body' } = error
    return { status: 400, ...explainValidation(validation, part, request.routeOptions.schema?.[part]) }
  }
  const status = error.statusCode ?? 500
  if (status >= 400 && status < 500) return { status, detail: error.message }
  return { status: 500, detail: 'internal error' }
}
