import { formatScope } from '@registry-manager/oci'
import { ANONYMOUS_UID, credentialsOf, readCredentials } from '@registry-manager/principal'
import { ProblemError, foreignChange, registryErrors, setErrorFormat } from '@registry-manager/http'
import type { UnavailableDependency } from '@registry-manager/http'
import type { FastifyInstance, FastifyReply, FastifyRequest } from 'fastify'
import type { Static } from 'typebox'
import { Type } from 'typebox'
import type { RefreshTokensRepository } from './refresh-tokens-repository.ts'
import type { Account } from '../accounts/account.ts'
import type { IdentityTokenPorts } from './identity-token.ts'
import { findIdentity } from './identity-token.ts'
import type { TokenIssuer } from './issue-access-token.ts'
import { isRegistryToken } from '../sign-in/principal.ts'
import type { SignInService } from '../sign-in/sign-in.ts'
import type { ParsedTokenRequest, TokenRequest } from './token-request.ts'
import { isAcceptedService, parseTokenForm, parseTokenQuery } from './token-request.ts'
import { parseForms, queryOf } from './form.ts'
import type { FoundPrincipal } from '../sign-in/sign-in-problem.ts'
import { principalOrProblem, unauthorized } from '../sign-in/sign-in-problem.ts'

export interface TokenRoutesOptions extends IdentityTokenPorts {
  /** The service that tokens are made for, and the names under which clients may ask for it. */
  readonly service: string
  readonly aliases: readonly string[]
  readonly realm: string
  /** PUBLIC_URL's origin: pages of no other one have refresh tokens made. */
  readonly publicOrigin: string
  /** Whether who shows no credentials at all gets a token, too. */
  readonly anonymousPull: boolean
  readonly signIn: SignInService
  readonly issuer: TokenIssuer
  readonly refreshTokens: RefreshTokensRepository
  readonly unavailableDependency: UnavailableDependency
}

/** Where the dialects of the seeds look for the token endpoint; a trailing slash is the router's to ignore. */
const PATHS = ['/auth/v2/token', '/image-manager/api/v1/auth/token']

/** Source: distribution, "Requesting a Token", "Token Response Fields"; RFC 6749 §5.1. */
const TokenAnswer = Type.Object({
  token: Type.String(),
  access_token: Type.String(),
  expires_in: Type.Integer(),
  issued_at: Type.String(),
  refresh_token: Type.Optional(Type.String()),
  scope: Type.Optional(Type.String()),
})
const answered = { schema: { response: { 200: TokenAnswer } } }

/** Whoever proved who they are, and how. */
interface Principal extends FoundPrincipal {
  /** The refresh token that they showed. */
  readonly refreshToken?: string
  readonly isAnonymous?: true
}

/** A principal without credentials: it pulls global repositories, and nothing else. */
const ANYBODY: Principal = {
  account: {
    id: ANONYMOUS_UID,
    username: '',
    directory: false,
    role: 'user',
    enabled: true,
    namespaces: [],
    generation: 0,
    createdAt: new Date(0),
  },
  offline: false,
  isAnonymous: true,
}

/**
 * The token endpoint. Source: distribution, "Docker Registry v2 authentication via central service" (GET) and
 * "Docker Registry v2 OAuth2" (POST).
 */
export async function token(app: FastifyInstance, options: TokenRoutesOptions): Promise<void> {
  const { service, aliases, realm, signIn, issuer, refreshTokens } = options
  setErrorFormat(app, registryErrors, options.unavailableDependency)
  await readCredentials(app)
  parseForms(app)

  const parse = (parsed: ParsedTokenRequest): TokenRequest => {
    if ('detail' in parsed) {
      throw new ProblemError({ status: 400, detail: `${parsed.field} ${parsed.detail}`, field: parsed.field })
    }
    if (!isAcceptedService(parsed.request.service, aliases)) {
      const detail = `service must be ${service} (or be left out), not ${parsed.request.service}`
      throw new ProblemError({ status: 400, detail, field: 'service' })
    }
    return parsed.request
  }

  /**
   * An identity token yields tokens, scoped or again an identity token (seed 001, "Get JWT tokens"), that expire no later
   * than it does: no new power.
   */
  const byHeader = async (request: FastifyRequest): Promise<Principal> => {
    const credentials = credentialsOf(request)
    if (credentials.kind === 'basic') {
      const { username, password } = credentials
      return principalOrProblem(await signIn.withPassword(username, password, request.ip), realm)
    }
    if (credentials.kind === 'none' && options.anonymousPull) return ANYBODY
    if (credentials.kind !== 'bearer') throw unauthorized(realm)
    const identity = await findIdentity(options, credentials.token)
    if (identity === undefined) throw unauthorized(realm, 'the identity token is not valid here')
    return { account: identity.account, offline: false, notAfter: identity.expiresAt }
  }

  const byGrant = async (request: FastifyRequest, grant: TokenRequest['grant']): Promise<Principal> => {
    if (grant?.type === 'refresh_token') {
      const { refreshToken } = grant
      return {
        ...principalOrProblem(await signIn.withRefreshToken(refreshToken, service, request.ip), realm),
        refreshToken,
      }
    }
    const { username, password } = grant ?? { username: '', password: '' }
    return principalOrProblem(await signIn.withPassword(username, password, request.ip), realm)
  }

  const issueRefreshToken = async (account: Account, clientId: string) => {
    const refreshToken = await refreshTokens.issue(account, service, clientId)
    signIn.rememberRefreshToken(refreshToken, service, account)
    return refreshToken
  }

  const answer = async (reply: FastifyReply, wanted: TokenRequest, principal: Principal) => {
    const { account, offline, notAfter, isAnonymous = false } = principal
    const { token, expiresIn, issuedAt, access } = await issuer.forAccount({
      account,
      offline,
      pullOnly: offline || isAnonymous,
      notAfter,
      scopes: wanted.scopes,
    })
    // Not for an identity token's bearer: what it yields must not outlive it. Nor for a registry token, which is
    // one itself: it can be replaced, and what lives beside it would outlast that.
    const isTemporary = offline || isAnonymous || notAfter !== undefined
    const lasting = wanted.offline && !isTemporary && !isRegistryToken(account)
    const refreshToken = lasting
      ? (principal.refreshToken ?? (await issueRefreshToken(account, wanted.clientId)))
      : undefined
    const body: Static<typeof TokenAnswer> = {
      token,
      access_token: token,
      expires_in: expiresIn,
      issued_at: issuedAt,
      refresh_token: refreshToken,
      scope: wanted.grant && formatScope(access ?? []),
    }
    return reply.header('cache-control', 'no-store').send(body)
  }

  for (const path of PATHS) {
    app.get(path, answered, async (request, reply) => {
      const wanted = parse(parseTokenQuery(queryOf(request.url)))
      // A refresh token that is made puts out the longest unused one: a change, by GET or not.
      const foreign = wanted.offline && foreignChange('POST', request.headers, options.publicOrigin)
      if (foreign) throw new ProblemError({ status: 403, detail: foreign })
      return answer(reply, wanted, await byHeader(request))
    })
    app.post(path, answered, async (request, reply) => {
      const form = request.body instanceof URLSearchParams ? request.body : new URLSearchParams()
      const wanted = parse(parseTokenForm(form))
      const principal = await byGrant(request, wanted.grant)
      // Never an identity token for a refresh token: what docker stores would be worth the password. Clients that check
      // their credentials by GET of /v2/ ask without a scope; a token that may do nothing is enough for that.
      const scopes = principal.refreshToken === undefined ? wanted.scopes : (wanted.scopes ?? [])
      return answer(reply, { ...wanted, scopes }, principal)
    })
  }
}
