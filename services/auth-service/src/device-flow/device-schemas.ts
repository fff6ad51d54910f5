import { PUBLIC } from '@registry-manager/http'
import { Type } from 'typebox'

/** Source: RFC 6749 §5.2; RFC 8628 §3.5. */
export const OAuthError = Type.Object({
  error: Type.String({ description: 'Such as `authorization_pending` or `invalid_request`.' }),
  error_description: Type.String({ description: 'The error, and the expected value.' }),
})

/** Source: RFC 8628 §3.1 and §3.2. Unknown parameters are ignored. */
export const AUTHORIZE_DEVICE = {
  tags: ['access tokens'],
  operationId: 'authorizeDevice',
  summary: 'Begin to sign a device in',
  description:
    'For programs without a browser (RFC 8628). Show the person `verification_uri` and `user_code`, and request ' +
    '`/auth/v2/token` with the grant type `urn:ietf:params:oauth:grant-type:device_code` every `interval` seconds.',
  security: PUBLIC,
  consumes: ['application/x-www-form-urlencoded'],
  body: Type.Object(
    {
      client_id: Type.Optional(
        Type.String({ description: 'The name of the program. The person who confirms sees it.' }),
      ),
    },
    { examples: [{ client_id: 'laptop' }] },
  ),
  response: {
    200: Type.Object({
      device_code: Type.String({ description: 'For the requests to the token endpoint; a secret.' }),
      user_code: Type.String({ description: 'Such as `BCDF-GHJK`.' }),
      verification_uri: Type.String({ description: 'The page where the person enters the code.' }),
      verification_uri_complete: Type.String({ description: 'The same page with the code.' }),
      expires_in: Type.Integer({ description: 'Seconds.' }),
      interval: Type.Integer({ description: 'Seconds between two requests to the token endpoint.' }),
    }),
    400: Type.Object(OAuthError.properties, { description: 'The request is invalid.' }),
    503: Type.Object(OAuthError.properties, { description: 'The database is unavailable.' }),
  },
}
