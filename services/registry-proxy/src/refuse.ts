import type { RegistryError } from '@registry-manager/oci'
import { formatRegistryError } from '@registry-manager/oci'
import type { ProblemFormat } from '@registry-manager/http'
import { registryErrors, withRequestId } from '@registry-manager/http'
import type { FastifyReply, FastifyRequest } from 'fastify'
import { isLargeBodyComing, sendEarly } from './send-early.ts'

/** What every response of the registry API has, errors included. */
export const REGISTRY_HEADERS = {
  'docker-distribution-api-version': 'registry/2.0',
  'x-content-type-options': 'nosniff',
}

/** How long a client that goes on sending may take to notice that it was answered. */
const LINGER_MS = 2000

/** The errors of the registry API, for requests that no handler takes. */
export const registryProblem: ProblemFormat = (reply, problem) =>
  registryErrors(reply.headers(REGISTRY_HEADERS), problem)

/**
 * Answers a refusal. While a large body is still coming the answer is sent first; what comes is thrown away
 * for a moment, so that the client reads its answer instead of a reset, and then the connection is closed.
 */
export async function refuse(request: FastifyRequest, reply: FastifyReply, error: RegistryError) {
  const { status, body } = formatRegistryError(error)
  const [first, ...rest] = body.errors
  const message = withRequestId({ status, detail: first?.message ?? '' }, request.id)
  const text = JSON.stringify({ errors: [{ ...first, message }, ...rest] })
  if (!isLargeBodyComing(request)) return reply.code(status).type('application/json').send(text)
  reply.code(status).type('application/json; charset=utf-8')
  return sendEarly(request, reply, text, LINGER_MS)
}
