import type { FastifyPluginAsyncTypebox } from '@fastify/type-provider-typebox'
import type { UnavailableDependency } from '@registry-manager/http'
import {
  forbidCaching,
  oauthErrors,
  parseForms,
  setErrorFormat,
  setRequestPrincipal,
} from '@registry-manager/http'
import type { FastifyInstance, FastifyReply, FastifyRequest } from 'fastify'
import type { RequestSession, RequestSessions } from '../browser-sessions/request-session.ts'
import { requireCsrfToken } from '../browser-sessions/request-session.ts'
import { namedPrincipal } from '../principals/principal.ts'
import { formFieldsOf, queryFieldOf, sendPage, servePages } from '../sign-in-page/page-responses.ts'
import type { DeviceFlow } from './device-flow.ts'
import { codePage, confirmPage, decidedPage } from './device-pages.ts'
import { AUTHORIZE_DEVICE } from './device-schemas.ts'
import type { WrongCodes } from './wrong-codes.ts'

export interface DeviceRoutesOptions {
  readonly devices: DeviceFlow
  readonly wrongCodes: WrongCodes
  readonly sessions: RequestSessions
  /** The origin of PUBLIC_URL. */
  readonly publicOrigin: string
  readonly unavailableDependency: UnavailableDependency
}

const HIDDEN = { schema: { hide: true } }
const UNKNOWN =
  'There is no device with this code. Codes are valid for ten minutes. Please start again on the device.'

/** Device authorization (RFC 8628): the request of a device, and the page on which a person confirms its code. */
export const deviceRoutes: FastifyPluginAsyncTypebox<DeviceRoutesOptions> = async (app, options) => {
  await app.register(authorizationRoutes, options)
  await app.register(pageRoutes, options)
}

const authorizationRoutes: FastifyPluginAsyncTypebox<DeviceRoutesOptions> = async (app, options) => {
  const { devices, publicOrigin } = options
  setErrorFormat(app, oauthErrors, options.unavailableDependency)
  forbidCaching(app)
  parseForms(app)
  const post = {
    schema: AUTHORIZE_DEVICE,
    preValidation: async (request: FastifyRequest) => {
      request.body = formFieldsOf(request)
    },
  }
  app.post('/device/authorization', post, async (request) => {
    const begun = await devices.begin(request.body.client_id ?? '', request.ip)
    const { deviceCode: device_code, userCode: user_code } = begun
    const verification_uri = `${publicOrigin}/device`
    return {
      device_code,
      user_code,
      verification_uri,
      verification_uri_complete: `${verification_uri}?user_code=${user_code}`,
      expires_in: begun.expiresInSeconds,
      interval: begun.intervalSeconds,
    }
  })
}

async function pageRoutes(app: FastifyInstance, options: DeviceRoutesOptions): Promise<void> {
  const { devices, wrongCodes, sessions } = options
  servePages(app, options.unavailableDependency)

  const sendToSignIn = (reply: FastifyReply, path: string) =>
    reply.redirect(`/sign-in?return_to=${encodeURIComponent(path)}`, 303)

  /** Runs a step with the code that a person gave; every wrong code counts, and after some of them people must wait. */
  const withCode = async <Found>(
    { account }: RequestSession,
    reply: FastifyReply,
    find: () => Promise<Found | undefined>,
    send: (found: Found) => FastifyReply,
  ): Promise<FastifyReply> => {
    const seconds = await wrongCodes.retryAfterSeconds(account)
    if (seconds > 0) {
      const message = `There were too many wrong codes. Please try again in ${seconds} seconds.`
      return sendPage(reply.header('retry-after', seconds), 429, codePage(message))
    }
    const found = await find()
    if (found !== undefined) return send(found)
    await wrongCodes.add(account)
    return sendPage(reply, 404, codePage(UNKNOWN))
  }

  app.get('/device', HIDDEN, async (request, reply) => {
    const userCode = queryFieldOf(request, 'user_code')
    const session = await sessions.find(request)
    const query =
      userCode === undefined ? '' : `?${new URLSearchParams({ user_code: userCode.slice(0, 64) })}`
    if (session === undefined) return sendToSignIn(reply, `/device${query}`)
    if (userCode === undefined) return sendPage(reply, 200, codePage())
    return withCode(
      session,
      reply,
      () => devices.find(userCode),
      (device) => sendPage(reply, 200, confirmPage(session.account, device, session.csrfToken)),
    )
  })

  app.post('/device', HIDDEN, async (request, reply) => {
    const { csrf_token, user_code, decision } = formFieldsOf(request)
    const session = await sessions.find(request)
    if (session === undefined) return sendToSignIn(reply, '/device')
    requireCsrfToken(session, csrf_token)
    setRequestPrincipal(namedPrincipal(session.account))
    const isAllowed = decision === 'allow'
    return withCode(
      session,
      reply,
      async () => (await devices.decide(user_code, isAllowed ? session.account : undefined)) || undefined,
      () => sendPage(reply, 200, decidedPage(isAllowed)),
    )
  })
}
