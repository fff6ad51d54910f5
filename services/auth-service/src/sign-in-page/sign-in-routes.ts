import { readFile } from 'node:fs/promises'
import type { FastifyPluginAsyncTypebox } from '@fastify/type-provider-typebox'
import type { UnavailableDependency } from '@registry-manager/http'
import {
  createStaticBody,
  describeUnavailable,
  forbidCaching,
  problemJson,
  setErrorFormat,
  setRequestPrincipal,
} from '@registry-manager/http'
import type { FastifyInstance } from 'fastify'
import type { RequestSession, RequestSessions } from '../browser-sessions/request-session.ts'
import { requireCsrfToken } from '../browser-sessions/request-session.ts'
import { namedPrincipal } from '../principals/principal.ts'
import type { SignIn, SignInService } from '../sign-in/sign-in.ts'
import { sessionEnded } from '../sign-in/sign-in-problem.ts'
import type { Html } from './html.ts'
import { formFieldsOf, queryFieldOf, sendPage, servePages } from './page-responses.ts'
import type { SignInLink } from './pages.ts'
import { accountPage, signInPage } from './pages.ts'
import { ownPath } from './return-to.ts'
import { GET_SESSION } from './session-schemas.ts'

export interface SignInRoutesOptions {
  readonly realm: string
  readonly signIn: Pick<SignInService, 'withPassword'>
  readonly sessions: RequestSessions
  /** Other ways to sign in. */
  readonly links: readonly SignInLink[]
  /** The sections that other features add to the page of a signed-in person. */
  readonly sections: readonly ((session: RequestSession) => Promise<Html>)[]
  readonly unavailableDependency: UnavailableDependency
}

const HIDDEN = { schema: { hide: true } }
const STYLE = new URL('./style.css', import.meta.url)

/** The sign-in page, which works without scripts, and the API of its sessions. */
export const signInRoutes: FastifyPluginAsyncTypebox<SignInRoutesOptions> = async (app, options) => {
  await app.register(pageRoutes, options)
  await app.register(sessionRoutes, options)
}

const sessionRoutes: FastifyPluginAsyncTypebox<SignInRoutesOptions> = async (app, options) => {
  setErrorFormat(app, problemJson, options.unavailableDependency)
  forbidCaching(app)
  app.get('/sign-in/session', { schema: GET_SESSION }, async (request) => {
    const session = await options.sessions.find(request)
    if (session === undefined) throw sessionEnded(options.realm)
    setRequestPrincipal(namedPrincipal(session.account))
    const { username, role, namespaces } = session.account
    const { csrfToken: csrf_token, expiresAt: expires_at } = session
    return { username, role, namespaces: [...namespaces], csrf_token, expires_at }
  })
}

async function pageRoutes(app: FastifyInstance, options: SignInRoutesOptions): Promise<void> {
  const { signIn, sessions, links } = options
  const sendStyle = createStaticBody('text/css; charset=utf-8', () => readFile(STYLE))
  app.get('/sign-in/style.css', HIDDEN, (request, reply) =>
    sendStyle(request, reply.header('cache-control', 'public, max-age=300')),
  )

  await app.register(async (pages) => {
    servePages(pages, options.unavailableDependency)

    pages.get('/sign-in', HIDDEN, async (request, reply) => {
      const returnTo = ownPath(queryFieldOf(request, 'return_to'))
      const session = await sessions.find(request)
      if (session === undefined) return sendPage(reply, 200, signInPage({ links, returnTo }))
      if (returnTo !== undefined) return reply.redirect(returnTo, 303)
      const more = await Promise.all(options.sections.map((section) => section(session)))
      return sendPage(reply, 200, accountPage(session.account, session.csrfToken, more))
    })

    pages.post('/sign-in', HIDDEN, async (request, reply) => {
      const { username = '', password = '', return_to } = formFieldsOf(request)
      const returnTo = ownPath(return_to)
      const result = await signIn.withPassword(username, password, request.ip)
      const failure = failureOf(result)
      if (failure !== undefined) {
        if (result.outcome === 'throttled') reply.header('retry-after', result.retryAfterSeconds)
        const { status, message } = failure
        return sendPage(reply, status, signInPage({ links, returnTo, message, username }))
      }
      if (result.outcome === 'account') {
        await sessions.start(request, reply, result.account, { by: 'password' })
      }
      return reply.redirect(returnTo ?? '/sign-in', 303)
    })

    pages.post('/sign-out', HIDDEN, async (request, reply) => {
      const session = await sessions.find(request)
      if (session !== undefined) requireCsrfToken(session, formFieldsOf(request)['csrf_token'])
      await sessions.end(request, reply)
      return reply.redirect('/sign-in', 303)
    })
  })
}

/** Status and message of a sign-in that begins no session. Never 401, which requires a challenge: forms have none. */
function failureOf(result: SignIn): { readonly status: number; readonly message: string } | undefined {
  switch (result.outcome) {
    case 'account':
      return result.offline
        ? { status: 503, message: 'The database is unavailable. Please try again shortly.' }
        : undefined
    case 'registry-token':
      return { status: 403, message: 'A registry token cannot sign in here. Please sign in as a person.' }
    case 'workload':
      return {
        status: 403,
        message: 'A workload (a CI job or a pod) cannot sign in here. Please sign in as a person.',
      }
    case 'personal-token':
      return { status: 403, message: 'A personal token cannot sign in here. Please use your password.' }
    case 'refused':
      return { status: 403, message: 'The username or the password is wrong.' }
    case 'throttled':
      return {
        status: 429,
        message: `There were too many failed sign-ins. Please try again in ${result.retryAfterSeconds} seconds.`,
      }
    case 'unavailable':
      return {
        status: 503,
        message: `Sign-in fails: ${describeUnavailable(result.dependency)}. Please try again shortly.`,
      }
  }
}
