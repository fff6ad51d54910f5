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
import type { FastifyInstance, FastifyReply } from 'fastify'
import type { Static } from 'typebox'
import { Type } from 'typebox'
import { signInProblem, unauthorized } from '../sign-in/sign-in-problem.ts'
import type { TokenEndpoint, TokenResult } from './token-endpoint.ts'
import type { ParsedTokenRequest, TokenRequest } from './token-request.ts'
import { isAcceptedService, parseTokenForm, parseTokenQuery } from './token-request.ts'

export interface TokenEndpointRoutesOptions {
  readonly tokenEndpoint: TokenEndpoint
  /** The service that access tokens are made for. */
  readonly service: string
  /** Names under which clients may request the service, itself among them. */
  readonly aliases: readonly string[]
  readonly realm: string
  /** PUBLIC_URL's origin: the only one whose pages may request refresh tokens. */
  readonly publicOrigin: string
  readonly unavailableDependency: UnavailableDependency
}

/** The paths of seeds 003 and 001; the router ignores a trailing slash. */
const PATHS = ['/auth/v2/token', '/image-manager/api/v1/auth/token']

/** Source: distribution, "Requesting a Token", "Token Response Fields"; RFC 6749 §5.1. */
const TokenResponse = Type.Object({
  token: Type.String(),
  access_token: Type.String(),
  expires_in: Type.Integer(),
  issued_at: Type.String(),
  refresh_token: Type.Optional(Type.String()),
  scope: Type.Optional(Type.String()),
})
const responses = { schema: { response: { 200: TokenResponse } } }

/**
 * The token endpoint. Source: distribution, "Docker Registry v2 authentication via central service" (GET) and
 * "Docker Registry v2 OAuth2" (POST).
 */
export async function tokenEndpointRoutes(
  app: FastifyInstance,
  options: TokenEndpointRoutesOptions,
): Promise<void> {
  const { tokenEndpoint, service, aliases, realm, publicOrigin } = options
  setErrorFormat(app, registryErrors, options.unavailableDependency)
  await readCredentials(app)
  parseForms(app)

  const requestOrProblem = (parsed: ParsedTokenRequest): TokenRequest => {
    if ('detail' in parsed) {
      throw new ProblemError({ status: 400, detail: `${parsed.field} ${parsed.detail}`, field: parsed.field })
    }
    if (!isAcceptedService(parsed.request.service, aliases)) {
      const detail = `service must be ${service} or left out, not ${parsed.request.service}`
      throw new ProblemError({ status: 400, detail, field: 'service' })
    }
    return parsed.request
  }

  const send = (reply: FastifyReply, request: TokenRequest, result: TokenResult) => {
    if (result.outcome === 'no-credentials') throw unauthorized(realm)
    if (result.outcome === 'bad-identity-token') {
      throw unauthorized(realm, 'the identity token is invalid, expired or revoked')
    }
    if (result.outcome !== 'issued') throw signInProblem(result, realm)
    const { token, expiresIn, issuedAt, access } = result.issued
    const body: Static<typeof TokenResponse> = {
      token,
      access_token: token,
      expires_in: expiresIn,
      issued_at: issuedAt,
      refresh_token: result.refreshToken,
      scope: request.grant && formatScope(access ?? []),
    }
    return reply.header('cache-control', 'no-store').send(body)
  }

  for (const path of PATHS) {
    app.get(path, responses, async (request, reply) => {
      const tokenRequest = requestOrProblem(parseTokenQuery(queryOf(request.url)))
      // Issuing a refresh token can delete the least recently used one, so this GET changes state: refuse it from pages
      // of another origin.
      const foreign = tokenRequest.offline && foreignChange('POST', request.headers, publicOrigin)
      if (foreign) throw new ProblemError({ status: 403, detail: foreign })
      const result = await tokenEndpoint.withCredentials(tokenRequest, credentialsOf(request), request.ip)
      return send(reply, tokenRequest, result)
    })
    app.post(path, responses, async (request, reply) => {
      const form = request.body instanceof URLSearchParams ? request.body : new URLSearchParams()
      const tokenRequest = requestOrProblem(parseTokenForm(form))
      return send(reply, tokenRequest, await tokenEndpoint.withGrant(tokenRequest, request.ip))
    })
  }
}
