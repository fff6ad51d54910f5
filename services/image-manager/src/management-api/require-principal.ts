import { formatBearerChallenge } from '@registry-manager/oci'
import type { Authenticator, FindAccountRights } from '@registry-manager/principal'
import { ProblemError, describeUnavailable, unavailable } from '@registry-manager/http'
import {
  conditionFault,
  credentialsOf,
  describeThrottled,
  readCredentials,
} from '@registry-manager/principal'
import type { FastifyInstance, FastifyRequest } from 'fastify'
import type { RequestRights } from './authorize.ts'

export interface RequirePrincipalOptions {
  readonly authenticator: Pick<Authenticator, 'authenticate'>
  /** URL of the token endpoint. */
  readonly realm: string
  readonly service: string
  readonly findAccount: FindAccountRights
  /** Milliseconds since the epoch. */
  readonly now: () => number
}

const RIGHTS = 'requestRights'

/** Requires an access token or Basic credentials on the routes of `app`, before a body is read. */
export async function requirePrincipal(
  app: FastifyInstance,
  options: RequirePrincipalOptions,
): Promise<void> {
  await readCredentials(app)
  app.decorateRequest(RIGHTS, null)
  app.addHook('onRequest', async (request) => {
    request.setDecorator(RIGHTS, await authenticate(options, request))
  })
}

/** The rights of the principal that `requirePrincipal` has authenticated. */
export function rightsOf(request: FastifyRequest): RequestRights {
  return request.getDecorator<RequestRights>(RIGHTS)
}

/** Throws a ProblemError if a request has no valid credentials. */
async function authenticate(
  { authenticator, realm, service, findAccount, now }: RequirePrincipalOptions,
  request: FastifyRequest,
): Promise<RequestRights> {
  const credentials = credentialsOf(request)
  const found = await authenticator.authenticate(credentials, request.ip, null)
  switch (found.outcome) {
    case 'principal': {
      // While the database is unavailable, a password yields an offline token, which has less access than its account.
      const isOffline =
        found.principal.offline === true || (credentials.kind === 'basic' && found.principal.access !== null)
      if (isOffline)
        throw unavailable('the token was issued while the database was unavailable; retry with a new one')
      const rights = await findAccount(found.principal)
      const context = { address: request.ip, now: now() }
      const fault = rights && conditionFault(rights.conditions ?? {}, context)
      if (fault !== undefined) {
        throw new ProblemError({ status: 403, detail: `this token has a condition: ${fault.detail}` })
      }
      if (rights !== undefined) return { rights, access: found.principal.access, context }
      break
    }
    case 'throttled': {
      const headers = { 'retry-after': String(found.retryAfterSeconds) }
      const detail = describeThrottled(found.retryAfterSeconds)
      throw new ProblemError({ status: 429, detail, headers })
    }
    case 'unavailable':
      throw unavailable(describeUnavailable(found.dependency))
    case 'unknown':
      throw unavailable('the revocation list has not been loaded yet; retry shortly', 1)
    case 'refused':
  }
  const headers = { 'www-authenticate': formatBearerChallenge({ realm, service }) }
  const reason = found.outcome === 'refused' ? found.reason : undefined
  const required = reason ?? 'send an access token or a username and password of this registry'
  const detail = `authentication required: ${required}`
  throw new ProblemError({ status: 401, detail, headers })
}
