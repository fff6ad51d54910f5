import type { FastifyPluginAsyncTypebox } from '@fastify/type-provider-typebox'
import type { UnavailableDependency } from '@registry-manager/http'
import {
  ProblemError,
  forbidCaching,
  oauthErrors,
  parseForms,
  setErrorFormat,
  setRequestPrincipal,
} from '@registry-manager/http'
import type { FastifyInstance, FastifyReply, FastifyRequest } from 'fastify'
import type { Cookie } from '../browser-sessions/cookie.ts'
import type { RequestSessions } from '../browser-sessions/request-session.ts'
import { namedPrincipal } from '../principals/principal.ts'
import { queryFieldOf, sendPage, servePages } from '../sign-in-page/page-responses.ts'
import type { SignInLink } from '../sign-in-page/pages.ts'
import { signInPage } from '../sign-in-page/pages.ts'
import { ownPath } from '../sign-in-page/return-to.ts'
import type { LogoutResult } from './provider-logout.ts'
import { InvalidResponse, ProviderUnavailable } from './provider.ts'
import { BACKCHANNEL_LOGOUT } from './provider-schemas.ts'
import type { ProviderSignIn } from './provider-sign-in.ts'
import { ATTEMPT_SECONDS } from './provider-sign-in.ts'
import { textOfRefusal } from './refusal-texts.ts'

/** One provider, as the routes use it. */
export interface ProviderRoutes {
  readonly label: string
  readonly signIn: ProviderSignIn
  /** Throws InvalidResponse and ProviderUnavailable. */
  readonly signOut: (logoutToken: string) => Promise<LogoutResult>
}

export interface OidcRoutesOptions {
  readonly providers: ReadonlyMap<string, ProviderRoutes>
  readonly links: readonly SignInLink[]
  /** The origin of PUBLIC_URL. */
  readonly publicOrigin: string
  readonly sessions: RequestSessions
  /** Binds a sign-in to the browser that began it. */
  readonly browserCookie: Cookie
  readonly newBrowserSecret: () => string
  readonly unavailableDependency: UnavailableDependency
}

interface ProviderRequest {
  readonly Params: { readonly provider: string }
}

const HIDDEN = { schema: { hide: true } }
const BROWSER_SECRET = /^[\w-]{43}$/

/** Sign-in of people at OpenID Connect providers, and their back-channel logout. */
export const oidcRoutes: FastifyPluginAsyncTypebox<OidcRoutesOptions> = async (app, options) => {
  await app.register(pageRoutes, options)
  await app.register(logoutRoutes, options)
}

async function pageRoutes(app: FastifyInstance, options: OidcRoutesOptions): Promise<void> {
  const { links, publicOrigin, sessions, browserCookie, newBrowserSecret } = options
  servePages(app, options.unavailableDependency)
  const providerOf = (id: string): ProviderRoutes => {
    const provider = options.providers.get(id)
    if (provider === undefined) throw noProvider(id)
    return provider
  }
  const browserSecretOf = (request: FastifyRequest) => {
    const secret = browserCookie.read(request.headers.cookie)
    return secret !== undefined && BROWSER_SECRET.test(secret) ? secret : undefined
  }
  const sendUnavailable = (
    request: FastifyRequest,
    reply: FastifyReply,
    { label, err, returnTo }: { label: string; err: ProviderUnavailable; returnTo: string | undefined },
  ) => {
    request.log.warn({ err }, 'a sign-in failed because the provider is unavailable')
    const message = `${label} is unavailable. Please try again shortly.`
    return sendPage(reply.header('retry-after', 5), 503, signInPage({ links, returnTo, message }))
  }

  app.get<ProviderRequest>('/oidc/:provider/sign-in', HIDDEN, async (request, reply) => {
    const { label, signIn } = providerOf(request.params.provider)
    const returnTo = ownPath(queryFieldOf(request, 'return_to'))
    // The secret stays while it is in use, so that sign-ins in two tabs work.
    const secret = browserSecretOf(request) ?? newBrowserSecret()
    const begun = await signIn.begin(secret, returnTo)
    if ('unavailable' in begun)
      return sendUnavailable(request, reply, { label, err: begun.unavailable, returnTo })
    return reply.header('set-cookie', browserCookie.set(secret, ATTEMPT_SECONDS)).redirect(begun.url, 303)
  })

  app.get<ProviderRequest>('/oidc/:provider/callback', HIDDEN, async (request, reply) => {
    const { provider: id } = request.params
    const { label, signIn } = providerOf(id)
    // From PUBLIC_URL, never from the request's Host. The code is bound to this URL.
    const callback = new URL(callbackUrl(publicOrigin, id))
    callback.search = new URL(request.url, publicOrigin).search
    const result = await signIn.finish(browserSecretOf(request), callback)
    const { returnTo } = result
    if (result.outcome === 'unavailable') {
      return sendUnavailable(request, reply, { label, err: result.cause, returnTo })
    }
    if (result.outcome === 'refused') {
      const err = result.reason === 'invalid-response' ? result.cause : undefined
      request.log.warn({ err, provider: id, reason: result.reason }, 'a sign-in at a provider was refused')
      const message = textOfRefusal(result, label)
      return sendPage(reply, 403, signInPage({ links, returnTo, message }))
    }
    setRequestPrincipal(namedPrincipal(result.account))
    await sessions.start(request, reply, result.account, {
      by: 'provider',
      provider: id,
      session: result.session,
    })
    return reply.redirect(returnTo ?? '/sign-in', 303)
  })
}

const logoutRoutes: FastifyPluginAsyncTypebox<OidcRoutesOptions> = async (
  app,
  { providers, unavailableDependency },
) => {
  setErrorFormat(app, oauthErrors, unavailableDependency)
  forbidCaching(app)
  parseForms(app)
  const post = {
    schema: BACKCHANNEL_LOGOUT,
    preValidation: async (request: FastifyRequest) => {
      request.body = request.body instanceof URLSearchParams ? Object.fromEntries(request.body) : {}
    },
  }
  app.post('/oidc/:provider/backchannel-logout', post, async (request, reply) => {
    const { provider: id } = request.params
    const provider = providers.get(id)
    if (provider === undefined) throw noProvider(id)
    try {
      const result = await provider.signOut(request.body.logout_token)
      if (result === 'done') return reply.send({})
    } catch (err) {
      if (err instanceof ProviderUnavailable) {
        const detail = `the OpenID Connect provider ${id} is unavailable; retry shortly`
        throw new ProblemError({ status: 503, detail }, { cause: err })
      }
      if (!(err instanceof InvalidResponse)) throw err
      request.log.warn({ err, provider: id }, 'a logout token was refused')
      throw new ProblemError({ status: 400, detail: err.message }, { cause: err })
    }
    throw new ProblemError({ status: 400, detail: 'the logout token was used before' })
  })
}

function noProvider(id: string): ProblemError {
  return new ProblemError({ status: 404, detail: `there is no OpenID Connect provider ${id}` })
}

/** The redirect URI that an operator enters at the provider. */
export function callbackUrl(publicOrigin: string, providerId: string): string {
  return `${publicOrigin}/oidc/${providerId}/callback`
}
