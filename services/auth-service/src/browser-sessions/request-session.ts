import { ProblemError, SAFE_METHODS } from '@registry-manager/http'
import type { FastifyReply, FastifyRequest } from 'fastify'
import type { Account } from '../principals/account.ts'
import type { BrowserSessions, SignedInBy } from './browser-sessions.ts'
import type { Cookie } from './cookie.ts'
import { csrfTokenOf, isSameCsrfToken } from './csrf-token.ts'

/** The session of a request. */
export interface RequestSession {
  readonly account: Account
  readonly expiresAt: Date
  /** The token that changes must send in the header `X-CSRF-Token`, or in the field `csrf_token` of a form. */
  readonly csrfToken: string
}

/** Browser sessions as routes use them: by the cookies of requests. */
export interface RequestSessions {
  /** Whether a request has a session cookie, live or not. */
  hasCookie(request: FastifyRequest): boolean
  /** Undefined without a live session. */
  find(request: FastifyRequest): Promise<RequestSession | undefined>
  /** The account of a request to an API. Throws 403 for a change without the right `X-CSRF-Token`. */
  findAccount(request: FastifyRequest): Promise<Account | undefined>
  /**
   * Begins a session and sets its cookie. Ends an earlier session of the browser: its secret must not be used again.
   */
  start(request: FastifyRequest, reply: FastifyReply, account: Account, signedInBy: SignedInBy): Promise<void>
  end(request: FastifyRequest, reply: FastifyReply): Promise<void>
}

const CSRF_HEADER = 'x-csrf-token'

export function createRequestSessions(sessions: BrowserSessions, cookie: Cookie): RequestSessions {
  const tokenOf = (request: FastifyRequest) => cookie.read(request.headers.cookie)

  const find = async (request: FastifyRequest): Promise<RequestSession | undefined> => {
    const token = tokenOf(request)
    const found = token === undefined ? undefined : await sessions.find(token)
    return token === undefined || found === undefined
      ? undefined
      : { ...found, csrfToken: csrfTokenOf(token) }
  }
  const endPresent = async (request: FastifyRequest) => {
    const token = tokenOf(request)
    const found = token === undefined ? undefined : await sessions.find(token)
    if (token !== undefined && found !== undefined) await sessions.end(token, found.account)
  }

  return {
    hasCookie: (request) => tokenOf(request) !== undefined,
    find,

    async findAccount(request) {
      const session = await find(request)
      if (session === undefined || SAFE_METHODS.has(request.method)) return session?.account
      if (!isSameCsrfToken(session.csrfToken, request.headers[CSRF_HEADER])) {
        const detail = 'a change with a browser session requires the header X-CSRF-Token of that session'
        throw new ProblemError({ status: 403, detail })
      }
      return session.account
    },

    async start(request, reply, account, signedInBy) {
      await endPresent(request)
      const token = await sessions.start(account, signedInBy)
      reply.header('set-cookie', cookie.set(token))
    },

    async end(request, reply) {
      await endPresent(request)
      reply.header('set-cookie', cookie.clear())
    },
  }
}

/** Throws 403 unless a form of ours was sent: `given` is its field `csrf_token`. */
export function requireCsrfToken({ csrfToken }: RequestSession, given: string | undefined): void {
  if (isSameCsrfToken(csrfToken, given)) return
  throw new ProblemError({ status: 403, detail: 'this form is out of date; load the page again' })
}
