import type { FastifyPluginAsyncTypebox } from '@fastify/type-provider-typebox'
import type { UnavailableDependency } from '@registry-manager/http'
import {
  ProblemError,
  foreignChange,
  parseForms,
  queryOf,
  registryErrors,
  setErrorFormat,
} from '@registry-manager/http'
import { formatScope } from '@registry-manager/oci'
import { credentialsOf, readCredentials } from '@registry-manager/principal'
import type { FastifyRequest } from 'fastify'
import type { Static } from 'typebox'
import type { DeviceCredentials, Poll } from '../device-flow/device-flow.ts'
import { signInProblem, unauthorized } from '../sign-in/sign-in-problem.ts'
import type { TokenEndpoint, TokenResult } from './token-endpoint.ts'
import type { TokenRequest } from './token-request.ts'
import { fromTokenForm, fromTokenQuery, isAcceptedService, readParameters } from './token-request.ts'
import type { TokenResponse } from './token-schemas.ts'
import { ACCESS_TOKEN_TYPE, DEVICE_CODE, GET_TOKEN, POST_TOKEN } from './token-schemas.ts'

export interface TokenEndpointRoutesOptions {
  readonly tokenEndpoint: TokenEndpoint
  /** The service that access tokens are made for. */
  readonly service: string
  /** Names by which clients may request the service, its own included. */
  readonly aliases: readonly string[]
  /** The realm of Basic challenges. Source: RFC 7617 §2. */
  readonly basicRealm: string
  /** PUBLIC_URL's origin: the only one whose pages may request refresh tokens. */
  readonly publicOrigin: string
  /** Asks whether a person has confirmed a device. */
  readonly pollDevice: (deviceCode: string) => Promise<Poll>
  readonly unavailableDependency: UnavailableDependency
}

/** The paths of seeds 003 and 001; the router ignores a trailing slash. Operation ids are unique. */
const PATHS = [
  { path: '/auth/v2/token', suffix: '' },
  { path: '/image-manager/api/v1/auth/token', suffix: 'OfImageManager' },
]

/**
 * The token endpoint. Source: distribution, "Docker Registry v2 authentication via central service" (GET) and
 * "Docker Registry v2 OAuth2" (POST).
 */
export const tokenEndpointRoutes: FastifyPluginAsyncTypebox<TokenEndpointRoutesOptions> = async (
  app,
  options,
) => {
  const { tokenEndpoint, service, aliases, basicRealm, publicOrigin } = options
  setErrorFormat(app, registryErrors, options.unavailableDependency)
  await readCredentials(app)
  parseForms(app)

  const requireService = (requested: string | undefined) => {
    if (isAcceptedService(requested, aliases)) return
    const detail = `service must be ${service} or left out, not ${requested}`
    throw new ProblemError({ status: 400, detail, field: 'service' })
  }

  const toBody = (request: TokenRequest, result: TokenResult): Static<typeof TokenResponse> => {
    if (result.outcome === 'no-credentials') throw unauthorized(basicRealm)
    if (result.outcome === 'bad-identity-token') {
      throw unauthorized(basicRealm, 'the identity token is invalid, expired or revoked')
    }
    if (result.outcome !== 'issued') throw signInProblem(result, basicRealm)
    const { token, expiresIn, issuedAt, access } = result.issued
    return {
      token,
      access_token: token,
      expires_in: expiresIn,
      issued_at: issuedAt,
      refresh_token: result.refreshToken,
      scope: request.grant && formatScope(access ?? []),
      ...(request.grant?.type === 'token-exchange' && {
        issued_token_type: ACCESS_TOKEN_TYPE,
        token_type: 'Bearer',
      }),
    }
  }

  for (const { path, suffix } of PATHS) {
    const get = {
      schema: { ...GET_TOKEN, operationId: `requestToken${suffix}` },
      // A query has the rules of a form here, so it is read before the hook that reads queries by their schema.
      preParsing: async (request: FastifyRequest) => {
        request.query = readParameters(queryOf(request.url))
      },
    }
    app.get(path, get, async (request, reply) => {
      const tokenRequest = fromTokenQuery(request.query)
      requireService(tokenRequest.service)
      // Issuing a refresh token can delete the least recently used one, so this GET changes state: refuse it from pages
      // of another origin.
      const foreign =
        tokenRequest.requestsRefreshToken && foreignChange('POST', request.headers, publicOrigin)
      const help = `send the request from a page of ${publicOrigin}, or without a browser`
      if (foreign) throw new ProblemError({ status: 403, detail: foreign, help })
      const result = await tokenEndpoint.withCredentials(tokenRequest, credentialsOf(request), request.ip)
      return reply.header('cache-control', 'no-store').send(toBody(tokenRequest, result))
    })

    const post = {
      schema: { ...POST_TOKEN, operationId: `requestTokenByOAuth${suffix}` },
      preValidation: async (request: FastifyRequest) => {
        // Without a form every parameter is missing.
        request.body = request.body instanceof URLSearchParams ? readParameters(request.body) : {}
      },
    }
    app.post(path, post, async (request, reply) => {
      if (request.body.grant_type === DEVICE_CODE) {
        reply.header('cache-control', 'no-store')
        const poll = await options.pollDevice(request.body.device_code)
        if (poll.outcome === 'issued') return toDeviceBody(poll.credentials)
        const error = { error: poll.outcome, error_description: POLL_ERRORS[poll.outcome] }
        return reply
          .code(400)
          .type('application/json')
          .send(JSON.stringify(error) as never)
      }
      const tokenRequest = fromTokenForm(request.body)
      requireService(tokenRequest.service)
      const result = await tokenEndpoint.withGrant(tokenRequest, request.ip)
      return reply.header('cache-control', 'no-store').send(toBody(tokenRequest, result))
    })
  }
}

/** Source: RFC 8628 §3.5; RFC 6749 §5.2. */
const POLL_ERRORS: Readonly<Record<Exclude<Poll['outcome'], 'issued'>, string>> = {
  authorization_pending: 'the device is not confirmed yet; retry after the interval',
  slow_down: 'the device polls too often; add five seconds to the interval',
  access_denied: 'the user refused the device, or may not sign in a device',
  expired_token: 'the device code has expired; request a new code',
  invalid_grant: 'the device code is unknown or was used before',
}

/** A device gets a personal token, which is a password for docker. */
function toDeviceBody({
  username,
  password,
  expiresInSeconds,
}: DeviceCredentials): Static<typeof TokenResponse> {
  return {
    token: password,
    access_token: password,
    expires_in: expiresInSeconds,
    issued_at: new Date().toISOString(),
    username,
  }
}
