import type { RequestPrincipal } from '@registry-manager/http'
import { ProblemError, requestPrincipalOf, setRequestPrincipal } from '@registry-manager/http'
import type { ConditionContext } from '@registry-manager/principal'
import { conditionFault, credentialsOf, readCredentials } from '@registry-manager/principal'
import type { FastifyInstance, FastifyRequest } from 'fastify'
import type { Account } from '../principals/account.ts'
import type { PersonalToken } from '../principals/personal-token.ts'
import type { AccountPrincipal } from '../principals/principal.ts'
import { isPersonalToken, isUser, isWorkload, namedPrincipal } from '../principals/principal.ts'
import type { SignInService } from './sign-in.ts'
import {
  accountOrProblem,
  forUsersOnly,
  notByPersonalToken,
  sessionEnded,
  unauthorized,
} from './sign-in-problem.ts'

/** A change that a signed-in principal requested and may not make. */
export interface RefusedRequest {
  readonly principal: RequestPrincipal
  readonly address: string
  readonly method: string
  /** The route with the names of its parameters, never the path that the client sent. */
  readonly path: string
}

export interface PrincipalOptions {
  /** The realm of challenges. Source: RFC 9110 §11.5. */
  readonly realm: string
  readonly signIn: SignInService
  /** The principal of a live identity token; undefined for any other token. */
  findIdentity(token: string): Promise<{ readonly principal: AccountPrincipal } | undefined>
  readonly sessions: {
    hasCookie(request: FastifyRequest): boolean
    /** The account of a live browser session. Throws 403 for a change without the session's CSRF token. */
    findAccount(request: FastifyRequest): Promise<Account | undefined>
  }
  noteRefusal(refused: RefusedRequest): void
  /** Milliseconds since the epoch. */
  readonly now: () => number
}

const PRINCIPAL = 'principal'

/**
 * Requires a signed-in user on the routes of `app`: Basic credentials, an identity token, or a browser session. The
 * cookie of a session counts only without an Authorization header. A personal token acts for its owner, unless scopes
 * or tags limit it, or a condition of it does not hold.
 */
export async function requirePrincipal(app: FastifyInstance, options: PrincipalOptions): Promise<void> {
  const { realm, signIn, findIdentity, sessions, now } = options
  await readCredentials(app)
  app.decorateRequest(PRINCIPAL, null)

  const authenticate = async (request: FastifyRequest): Promise<AccountPrincipal> => {
    const credentials = credentialsOf(request)
    if (credentials.kind === 'basic') {
      const result = await signIn.withPassword(credentials.username, credentials.password, request.ip)
      if (result.outcome === 'workload') return result.workload
      if (result.outcome === 'registry-token') return result.registryToken
      return result.outcome === 'personal-token' ? result.account : accountOrProblem(result, realm)
    }
    if (credentials.kind === 'none' && sessions.hasCookie(request)) {
      const account = await sessions.findAccount(request)
      if (account === undefined) throw sessionEnded(realm)
      return account
    }
    const identity = credentials.kind === 'bearer' ? await findIdentity(credentials.token) : undefined
    if (identity === undefined) throw unauthorized(realm)
    return identity.principal
  }
  app.addHook('onRequest', async (request) => {
    const principal = await authenticate(request)
    setRequestPrincipal(namedPrincipal(principal))
    if (isWorkload(principal)) throw forUsersOnly('workloads')
    if (!isUser(principal)) throw forUsersOnly()
    if (isPersonalToken(principal)) refuseLimited(principal.via, { address: request.ip, now: now() })
    request.setDecorator(PRINCIPAL, principal)
  })
  app.addHook('onError', async (request, _reply, error) => {
    const principal = requestPrincipalOf(request)
    const { ip: address, method, routeOptions } = request
    if (principal === null || method === 'GET' || !(error instanceof ProblemError)) return
    if (error.statusCode !== 403) return
    options.noteRefusal({ principal, address, method, path: routeOptions.url ?? '*' })
  })
}

/**
 * Throws 403 if a personal token may not act for everything that its owner may do here. One that is limited to tags
 * could otherwise make itself a credential without the limit.
 */
function refuseLimited({ scopes, conditions = {} }: PersonalToken, context: ConditionContext): void {
  if (scopes !== null) {
    throw notByPersonalToken('this personal token is limited to repositories; sign in with a password')
  }
  if (conditions.tags !== undefined) {
    throw notByPersonalToken(
      `this personal token is limited to tags that match ${conditions.tags}; sign in with a password`,
    )
  }
  const fault = conditionFault(conditions, context)
  if (fault !== undefined) {
    throw notByPersonalToken(`this personal token has a condition: ${fault.detail}`)
  }
}

/** The user that `requirePrincipal` has authenticated. */
export function principalOf(request: FastifyRequest): Account {
  return request.getDecorator<Account>(PRINCIPAL)
}

/**
 * Throws 403 if a personal token sent the request. For actions that a token may not do for its owner, such as changing
 * a password.
 */
export function onlyInPerson(request: FastifyRequest): void {
  if (!isPersonalToken(principalOf(request))) return
  throw notByPersonalToken('a personal token may not do this; sign in with a password')
}

/** Throws 403 unless the principal is a cluster administrator. */
export function onlyAdministrators(request: FastifyRequest): void {
  if (principalOf(request).role === 'cluster-administrator') return
  throw new ProblemError({ status: 403, detail: 'this request requires a cluster administrator' })
}
