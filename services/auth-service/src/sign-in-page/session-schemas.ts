import { ONLY_SESSION, problemResponses } from '@registry-manager/http'
import { ROLES } from '@registry-manager/principal'
import { Type } from 'typebox'

/** `GET /sign-in/session`. */
export const GET_SESSION = {
  tags: ['browser sessions'],
  operationId: 'getBrowserSession',
  summary: 'Get the browser session',
  description:
    'For pages: the account of the session cookie, and the CSRF token that changes must send in the header ' +
    '`X-CSRF-Token`. A person begins a session at `/sign-in`.',
  security: ONLY_SESSION,
  response: {
    200: Type.Object({
      username: Type.String(),
      role: Type.Enum([...ROLES]),
      namespaces: Type.Array(Type.String()),
      csrf_token: Type.String(),
      expires_at: Type.Unsafe<Date>({
        type: 'string',
        format: 'date-time',
        description: 'The end of the session. It ends earlier if it is not used for two hours.',
      }),
    }),
    ...problemResponses(401, 503),
  },
}
