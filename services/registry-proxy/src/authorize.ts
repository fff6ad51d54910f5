import { describeUnavailable } from '@registry-manager/http'
import type { Access, RegistryError, RegistryRequest } from '@registry-manager/oci'
import { formatBearerChallenge } from '@registry-manager/oci'
import type { Principal, Authenticator } from '@registry-manager/principal'
import { credentialsOf } from '@registry-manager/principal'
import type { FastifyReply, FastifyRequest } from 'fastify'
import type { Decision } from './decide.ts'
import type { EndedGlobalsFeed } from './ended-globals-feed.ts'
import { challengeAccess, decide, usableAccess } from './decide.ts'
import { withoutEndedGlobals } from './ended-globals.ts'
import { refuse } from './refuse.ts'

export interface AuthorizeOptions {
  /** URL of the token endpoint. */
  readonly realm: string
  readonly service: string
  readonly uploadSecret: string
  readonly authenticator: Authenticator
  readonly endedGlobals: EndedGlobalsFeed
}

/** A request that is permitted, and the principal's token. */
export interface Authorized {
  readonly decision: Extract<Decision, { outcome: 'forward' | 'index' }>
  readonly principal: Principal
  readonly token: string
}

/**
 * Finds the principal of a request and decides on it. A request that is not permitted is refused here, and the answer is
 * undefined. Throws ServiceCallError when auth-service does not answer.
 */
export async function authorize(
  options: AuthorizeOptions,
  asked: RegistryRequest,
  request: FastifyRequest,
  reply: FastifyReply,
): Promise<Authorized | undefined> {
  const refuseWith = async (error: RegistryError) => void (await refuse(request, reply, error))
  const found = await options.authenticator.authenticate(
    credentialsOf(request),
    request.ip,
    usableAccess(asked),
  )
  switch (found.outcome) {
    case 'refused':
      challenge(options, reply, asked, found.error)
      return refuseWith({ code: 'UNAUTHORIZED' })
    case 'throttled':
      reply.header('retry-after', found.retryAfterSeconds)
      return refuseWith({ code: 'TOOMANYREQUESTS', message: 'too many failed sign-ins' })
    case 'unavailable':
      reply.header('retry-after', 5)
      return refuseWith({ code: 'UNAVAILABLE', message: describeUnavailable(found.dependency) })
    case 'unknown': {
      reply.header('retry-after', 1)
      const message = 'the revocation list has not been loaded yet; retry shortly'
      return refuseWith({ code: 'UNAVAILABLE', message })
    }
    case 'principal':
  }

  const { token } = found
  const principal = withoutEndedGlobals(found.principal, options.endedGlobals.leastGeneration)
  if (principal === undefined) {
    reply.header('retry-after', 1)
    const message = 'it is not known yet which repositories ceased to be global; retry shortly'
    return refuseWith({ code: 'UNAVAILABLE', message })
  }
  const decision = decide(asked, principal, options.uploadSecret)
  switch (decision.outcome) {
    case 'insufficient':
      if (decision.required.some(isMoreThanPull)) {
        if (principal.offline === true) {
          reply.header('retry-after', 5)
          return refuseWith(OFFLINE_TOKEN)
        }
        await options.authenticator.confirmAccount(principal.uid)
      }
      // A password will not get more by asking again; another token might.
      if (credentialsOf(request).kind === 'basic') return refuseWith({ code: 'DENIED' })
      challenge(options, reply, asked, 'insufficient_scope')
      return refuseWith({ code: 'UNAUTHORIZED', message: 'the token does not permit this' })
    case 'foreign-upload':
      return refuseWith({ code: 'BLOB_UPLOAD_UNKNOWN' })
    case 'index':
    case 'forward':
      return { decision, principal, token }
  }
}

/**
 * A token that was issued while the database was unavailable permits pulls only, whatever the account may do. That
 * follows from the token, not from whether the database is back by now. docker takes 401 and 403 for final, and
 * retries a layer after 503 for 50 seconds.
 * Source: moby, distribution/push_v2.go, distribution/xfer/upload.go.
 */
const OFFLINE_TOKEN: RegistryError = {
  code: 'UNAVAILABLE',
  message:
    'the token was issued while the database was unavailable and permits pulls only; retry with a new token',
}

function isMoreThanPull({ actions }: Access): boolean {
  return actions.some((action) => action !== 'pull')
}

function challenge(
  { realm, service }: AuthorizeOptions,
  reply: FastifyReply,
  asked: RegistryRequest,
  error?: 'insufficient_scope' | 'invalid_token',
): void {
  const required = challengeAccess(asked)
  reply.header('www-authenticate', formatBearerChallenge({ realm, service, required, error }))
}
