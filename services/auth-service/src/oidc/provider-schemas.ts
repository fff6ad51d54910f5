import { PUBLIC } from '@registry-manager/http'
import { Type } from 'typebox'

const LogoutError = Type.Object({
  error: Type.Enum(['invalid_request', 'temporarily_unavailable']),
  error_description: Type.String(),
})

/** Source: OpenID Connect Back-Channel Logout 1.0 §2.5 and §2.8. */
export const BACKCHANNEL_LOGOUT = {
  tags: ['browser sessions'],
  operationId: 'endSessionsByProvider',
  summary: 'Receive a logout token of a provider',
  description:
    'For OpenID Connect providers: back-channel logout. Ends the sessions, refresh tokens and access tokens of the ' +
    'person whom the logout token names. A logout token works once.',
  security: PUBLIC,
  consumes: ['application/x-www-form-urlencoded'],
  params: Type.Object({
    provider: Type.String({ description: 'The id of the provider.', examples: ['corp'] }),
  }),
  body: Type.Object({ logout_token: Type.String() }, { examples: [{ logout_token: 'a-logout-token' }] }),
  response: {
    200: Type.Object({}, { description: 'The sessions are ended.' }),
    400: Type.Object(LogoutError.properties, { description: 'The logout token is not valid.' }),
    404: Type.Object(LogoutError.properties, { description: 'There is no such provider.' }),
    503: Type.Object(LogoutError.properties, { description: 'The provider or the database is unavailable.' }),
  },
}
