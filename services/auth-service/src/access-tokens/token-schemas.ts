import { BASIC_OR_BEARER, PUBLIC, registryErrorResponses } from '@registry-manager/http'
import type { Static } from 'typebox'
import { Type } from 'typebox'

/*
 * The schemas of the token endpoint, for validation, responses and OpenAPI. Unknown parameters are ignored, as RFC 6749
 * §3.1 requires.
 */

const service = Type.Optional(
  Type.String({
    description: 'The service that the token is for: `TOKEN_SERVICE`, one of its aliases, or left out.',
  }),
)
const scope = Type.Optional(
  Type.Array(Type.String(), {
    description:
      'Requested access, such as `repository:team/app:pull,push` or `registry:catalog:*`. Repeatable; each value may ' +
      'have several scopes, separated by spaces. The first 100 scopes count. Without a scope the token is an identity ' +
      'token, which image management and the users API accept.',
    examples: [['repository:team/app:pull']],
  }),
)
const clientId = Type.Optional(
  Type.String({ description: 'The name of the client; stored with a refresh token.' }),
)

/** Source: distribution, "Requesting a Token". */
export const TokenQuery = Type.Object({
  service,
  scope,
  offline_token: Type.Optional(
    Type.String({ description: '`true` or `1` requests a refresh token too. Other values are ignored.' }),
  ),
  client_id: clientId,
  account: Type.Optional(Type.String({ description: 'Ignored: the credentials name the account.' })),
})
export type TokenQuery = Static<typeof TokenQuery>

const grantFields = {
  service,
  client_id: clientId,
  scope,
  access_type: Type.Optional(
    Type.String({ description: '`offline` requests a refresh token too. Other values are ignored.' }),
  ),
}
/** Source: RFC 6749 §4.3. */
const PasswordGrant = Type.Object({
  grant_type: Type.Literal('password'),
  username: Type.String(),
  password: Type.String({ format: 'password' }),
  ...grantFields,
})
/** Source: RFC 6749 §6. */
const RefreshTokenGrant = Type.Object({
  grant_type: Type.Literal('refresh_token'),
  refresh_token: Type.String({ format: 'password' }),
  ...grantFields,
})

export const TOKEN_EXCHANGE = 'urn:ietf:params:oauth:grant-type:token-exchange'
export const ACCESS_TOKEN_TYPE = 'urn:ietf:params:oauth:token-type:access_token'
/** Source: RFC 8693 §2.1 and §3. */
const TokenExchangeGrant = Type.Object({
  grant_type: Type.Literal(TOKEN_EXCHANGE),
  subject_token: Type.String({
    format: 'password',
    description: 'A JWT of another issuer, which a trust rule must accept.',
  }),
  subject_token_type: Type.Enum([
    'urn:ietf:params:oauth:token-type:jwt',
    'urn:ietf:params:oauth:token-type:id_token',
  ]),
  requested_token_type: Type.Optional(Type.Enum([ACCESS_TOKEN_TYPE])),
  audience: Type.Optional(Type.String({ description: 'The same as `service`.' })),
  ...grantFields,
})

export const DEVICE_CODE = 'urn:ietf:params:oauth:grant-type:device_code'
/** Source: RFC 8628 §3.4. */
const DeviceCodeGrant = Type.Object({
  grant_type: Type.Literal(DEVICE_CODE),
  device_code: Type.String({ format: 'password' }),
  client_id: clientId,
})

/** Source: distribution, "Docker Registry v2 OAuth2". */
export const TokenForm = Type.Unsafe<
  | Static<typeof PasswordGrant>
  | Static<typeof RefreshTokenGrant>
  | Static<typeof TokenExchangeGrant>
  | Static<typeof DeviceCodeGrant>
>({
  type: 'object',
  discriminator: { propertyName: 'grant_type' },
  required: ['grant_type'],
  oneOf: [PasswordGrant, RefreshTokenGrant, TokenExchangeGrant, DeviceCodeGrant],
  examples: [{ grant_type: 'password', username: 'jane', password: 'replace-this-password' }],
})
export type TokenForm = Static<typeof TokenForm>

/** Source: distribution, "Requesting a Token", "Token Response Fields"; RFC 6749 §5.1. */
export const TokenResponse = Type.Object({
  token: Type.String({ description: 'An access token: a JWT, signed with ES256.' }),
  access_token: Type.String({ description: 'The same as `token`.' }),
  expires_in: Type.Integer({ description: 'Seconds.' }),
  issued_at: Type.String({ format: 'date-time' }),
  refresh_token: Type.Optional(Type.String({ description: 'Only if it was requested.' })),
  username: Type.Optional(
    Type.String({
      description: 'Only for a device: the username of the owner of the personal token in `access_token`.',
    }),
  ),
  scope: Type.Optional(Type.String({ description: 'The granted scopes. Only in responses to POST.' })),
  issued_token_type: Type.Optional(
    Type.String({ description: 'Only in responses to a token exchange. Source: RFC 8693 §2.2.1.' }),
  ),
  token_type: Type.Optional(Type.String({ description: '`Bearer`. Only in responses to a token exchange.' })),
})

const common = { tags: ['access tokens'] }

export const GET_TOKEN = {
  ...common,
  summary: 'Request an access token',
  description:
    'Grants the requested access as far as the account has it, possibly none. Accepts Basic credentials, and an ' +
    'identity token as Bearer. Without credentials: 401, unless `ANONYMOUS_PULL` is true.',
  security: BASIC_OR_BEARER,
  querystring: TokenQuery,
  response: { 200: TokenResponse, ...registryErrorResponses(400, 401, 403, 429, 503) },
}

export const POST_TOKEN = {
  ...common,
  summary: 'Request an access token by OAuth 2',
  description:
    'Grants the requested access as far as the account has it. The credentials are in the form. A token ' +
    'exchange (RFC 8693) takes a JWT of another issuer that a trust rule accepts.',
  security: PUBLIC,
  consumes: ['application/x-www-form-urlencoded'],
  body: TokenForm,
  response: { 200: TokenResponse, ...registryErrorResponses(400, 401, 413, 415, 429, 503) },
}
