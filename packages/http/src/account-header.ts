import type { FastifyInstance, FastifyRequest } from 'fastify'
import { requestPrincipalOf } from './request-context.ts'

/**
 * nginx asks with this header for the name of the account, for its access log. A client that sends it gains nothing:
 * the response names its own account.
 */
const ASKED = 'x-log-account'

/** The response header that nginx logs and does not pass to clients. */
const ACCOUNT = 'x-account'

/** Names the account of a request in its response, if nginx asks for it. */
export function nameAccount(app: FastifyInstance): void {
  app.addHook('onSend', async (request, reply) => {
    reply.headers(accountHeaders(request))
  })
}

/** The header that names the account of a request; none if nginx does not ask for it, or if there is no account. */
export function accountHeaders(request: FastifyRequest): Readonly<Record<string, string>> {
  if (request.headers[ASKED] === undefined) return {}
  const name = requestPrincipalOf(request)?.name ?? null
  return name === null ? {} : { [ACCOUNT]: toHeaderValue(name) }
}

/** Percent-encodes everything but visible ASCII, and `"`, `%` and `\\`: a username may contain any character. */
function toHeaderValue(name: string): string {
  return name.toWellFormed().replaceAll(/[^\u0021-\u007e]|["%\\]/gu, encodeURIComponent)
}
