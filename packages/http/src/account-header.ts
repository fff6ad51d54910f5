import type { FastifyInstance, FastifyRequest } from 'fastify'
import { requestPrincipalOf } from './request-context.ts'

/**
 * nginx requests the name of the account, for its access log, by this header. A client that sends it gains nothing: the
 * response names its own account.
 */
const REQUEST_HEADER = 'x-log-account'

/** The response header that nginx logs and does not pass to clients. */
const RESPONSE_HEADER = 'x-account'

/** Adds the name of the account to each response whose request asks for it. */
export function addAccountHeader(app: FastifyInstance): void {
  app.addHook('onSend', async (request, reply) => {
    reply.headers(accountHeaders(request))
  })
}

/** The header that names the account of a request; none if nginx does not ask for it, or if there is no account. */
export function accountHeaders(request: FastifyRequest): Readonly<Record<string, string>> {
  if (request.headers[REQUEST_HEADER] === undefined) return {}
  const name = requestPrincipalOf(request)?.name ?? null
  return name === null ? {} : { [RESPONSE_HEADER]: toHeaderValue(name) }
}

/** Percent-encodes everything but visible ASCII, and `"`, `%` and `\\`: a username may contain any character. */
function toHeaderValue(name: string): string {
  return name.toWellFormed().replaceAll(/[^\u0021-\u007e]|["%\\]/gu, encodeURIComponent)
}
