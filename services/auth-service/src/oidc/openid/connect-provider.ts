import { createRemoteJWKSet, customFetch as joseFetch, jwtVerify } from 'jose'
import * as openid from 'openid-client'
import type { OidcProvider } from '../config.ts'
import type { Claims, Provider } from '../provider.ts'
import { InvalidResponse, ProviderUnavailable } from '../provider.ts'
import { createBoundedFetch } from './bounded-fetch.ts'
import { LOGOUT_ALGORITHMS, readLogoutToken } from './logout-token.ts'

export interface ConnectProviderOptions {
  readonly provider: OidcProvider
  /** The URL of ours that the provider sends browsers to. */
  readonly redirectUri: string
  /** Milliseconds since the epoch. */
  readonly now: () => number
  /** Deadline of each request to the provider, in milliseconds. */
  readonly timeoutMs?: number
}

/** Larger than any metadata, key set or ID token; userinfo with a thousand groups has 100 KB. */
const MAX_BYTES = 1024 * 1024
const TIMEOUT_MS = 5000
/** The provider's metadata are read again after this time. */
const METADATA_MS = 3_600_000

/**
 * Speaks OpenID Connect with one provider: authorization code flow with PKCE, ID tokens whose signature is always
 * verified with the provider's keys (so `none` and symmetric algorithms are refused), and logout tokens.
 * Source: OpenID Connect Core 1.0 §3.1; RFC 7636; RFC 9207; OpenID Connect Back-Channel Logout 1.0.
 */
export function connectProvider(options: ConnectProviderOptions): Provider {
  const { provider, redirectUri, now, timeoutMs = TIMEOUT_MS } = options
  const { issuer, clientId, clientSecret } = provider
  const fetch = createBoundedFetch({ timeoutMs, maxBytes: MAX_BYTES, ca: provider.ca })
  let known: { readonly config: openid.Configuration; readonly readAt: number } | undefined
  let reading: Promise<openid.Configuration> | undefined
  let logoutKeys: { readonly uri: string; readonly find: ReturnType<typeof createRemoteJWKSet> } | undefined

  const discover = async () => {
    const config = await openid.discovery(new URL(issuer), clientId, undefined, authenticate(clientSecret), {
      execute: issuer.startsWith('http:') ? [openid.allowInsecureRequests] : [],
      [openid.customFetch]: fetch,
    })
    // Without this, an ID token from the token endpoint would be trusted because of TLS alone.
    openid.enableNonRepudiationChecks(config)
    known = { config, readAt: now() }
    return config
  }
  const configuration = async (): Promise<openid.Configuration> => {
    if (known !== undefined && now() - known.readAt < METADATA_MS) return known.config
    reading ??= discover().finally(() => (reading = undefined))
    try {
      return await reading
    } catch (error) {
      // The last metadata stay in use while the provider cannot be reached.
      if (known !== undefined && isUnavailable(error)) return known.config
      throw error
    }
  }

  /** The claims of the UserInfo endpoint are requested only if the ID token lacks a claim that is needed. */
  const complete = async (
    config: openid.Configuration,
    accessToken: string,
    claims: Claims & { readonly sub: string },
  ) => {
    const needed = [provider.usernameClaim, provider.groupsClaim].filter((name) => name !== undefined)
    const isComplete = needed.every((name) => claims[name] !== undefined)
    if (isComplete || config.serverMetadata().userinfo_endpoint === undefined) return claims
    return { ...(await openid.fetchUserInfo(config, accessToken, claims.sub)), ...claims }
  }

  return {
    id: provider.id,
    issuer,

    authorizationUrl: ({ state, nonce, codeVerifier }) =>
      explained('the metadata of the provider are not valid', async () => {
        const url = openid.buildAuthorizationUrl(await configuration(), {
          redirect_uri: redirectUri,
          scope: ['openid', ...provider.scopes].join(' '),
          state,
          nonce,
          code_challenge: await openid.calculatePKCECodeChallenge(codeVerifier),
          code_challenge_method: 'S256',
        })
        return url.href
      }),

    claimsOf: (callback, { state, nonce, codeVerifier }) =>
      explained('the response of the provider is not valid', async () => {
        const config = await configuration()
        const tokens = await openid.authorizationCodeGrant(config, callback, {
          expectedState: state,
          expectedNonce: nonce,
          pkceCodeVerifier: codeVerifier,
          idTokenExpected: true,
        })
        const claims = tokens.claims()
        if (claims === undefined) throw new InvalidResponse('the provider sent no ID token')
        return complete(config, tokens.access_token, claims)
      }),

    verifyLogoutToken: (token) =>
      explained('the logout token is not valid', async () => {
        const uri = (await configuration()).serverMetadata().jwks_uri
        if (uri === undefined) throw new InvalidResponse('the provider publishes no keys')
        if (logoutKeys?.uri !== uri) {
          logoutKeys = { uri, find: createRemoteJWKSet(new URL(uri), { [joseFetch]: fetch }) }
        }
        const { payload } = await jwtVerify(token, logoutKeys.find, {
          issuer,
          audience: clientId,
          algorithms: LOGOUT_ALGORITHMS,
          clockTolerance: 30,
          currentDate: new Date(now()),
        })
        return readLogoutToken(payload, now())
      }),
  }
}

/** Basic, which every provider must support, unless the provider says that it does not. */
function authenticate(secret: string | undefined): openid.ClientAuth {
  if (secret === undefined) return openid.None()
  const [basic, post] = [openid.ClientSecretBasic(secret), openid.ClientSecretPost(secret)]
  return (server, ...rest) => {
    const methods = server.token_endpoint_auth_methods_supported ?? ['client_secret_basic']
    const choose = methods.includes('client_secret_basic') ? basic : post
    choose(server, ...rest)
  }
}

/** Runs a step whose failure is ProviderUnavailable or InvalidResponse, with the error of the library as its cause. */
async function explained<Result>(message: string, work: () => Promise<Result>): Promise<Result> {
  try {
    return await work()
  } catch (cause) {
    if (cause instanceof InvalidResponse) throw cause
    if (isUnavailable(cause)) throw new ProviderUnavailable('the provider is unavailable', { cause })
    const code = cause instanceof openid.AuthorizationResponseError ? cause.error : undefined
    throw new InvalidResponse(message, { code, cause })
  }
}

/** The libraries wrap errors of `fetch`. */
function isUnavailable(error: unknown): boolean {
  if (error instanceof ProviderUnavailable) return true
  return error instanceof Error && error.cause !== undefined && isUnavailable(error.cause)
}
