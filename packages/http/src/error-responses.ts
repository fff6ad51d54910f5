import { Type } from 'typebox'

/** The body of a problem. Source: RFC 9457 §3.1. */
export const ProblemBody = Type.Object({
  type: Type.Literal('about:blank'),
  title: Type.String({ description: "The status in words, such as 'Not Found'." }),
  status: Type.Integer({ description: 'The HTTP status.' }),
  detail: Type.String({ description: 'The error, and the expected value.' }),
  field: Type.Optional(Type.String({ description: 'The invalid field of the request.' })),
})

const RETRY_AFTER = {
  'retry-after': { type: 'string', description: 'Seconds after which a retry can succeed.' },
}
const CHALLENGE = {
  'www-authenticate': { type: 'string', description: 'The way to authenticate. Source: RFC 9110 §11.6.1.' },
}

/** The description and the headers of each error status. */
const ERROR_STATUSES = {
  400: { description: 'The request is invalid; `field` names the invalid field.' },
  401: { description: 'The credentials are missing, wrong, expired or revoked.', headers: CHALLENGE },
  403: { description: 'The account may not do this.' },
  404: { description: 'The resource does not exist, or the account may not see it.' },
  409: { description: 'The request conflicts with the current state.' },
  413: { description: 'The body is too large.' },
  415: { description: 'The Content-Type is not supported.' },
  429: { description: 'Too many requests or failed sign-ins.', headers: RETRY_AFTER },
  503: { description: 'A dependency is unavailable; a retry can succeed.', headers: RETRY_AFTER },
} as const

export type ErrorStatus = keyof typeof ERROR_STATUSES

/** The `response` schema of an error status. */
export interface ErrorResponse<Body> {
  readonly description: string
  readonly headers?: object
  readonly content: Readonly<Record<string, { readonly schema: Body }>>
}

/**
 * The `response` schemas of a route's errors in the format of an API. They only document the errors, which are sent as
 * strings: Fastify does not serialize strings.
 */
export function errorResponses<Body, const Status extends ErrorStatus>(
  type: string,
  schema: Body,
  statuses: readonly Status[],
): Record<Status, ErrorResponse<Body>> {
  const content = { [type]: { schema } }
  const responses = statuses.map((status) => [status, { ...ERROR_STATUSES[status], content }])
  return Object.fromEntries(responses) as Record<Status, ErrorResponse<Body>>
}

/** The `response` schemas of a route's problems. */
export function problemResponses<const Status extends ErrorStatus>(...statuses: readonly Status[]) {
  return errorResponses('application/problem+json', ProblemBody, statuses)
}

/** The body of the registry API's errors. Source: OCI distribution-spec 1.1, "Error Codes". */
export const RegistryErrorsBody = Type.Object({
  errors: Type.Array(
    Type.Object({
      code: Type.String({ description: "Such as 'UNAUTHORIZED'." }),
      message: Type.String({ description: 'The error, and the expected value.' }),
      detail: Type.Unknown({ description: '`{"field": …}` with the invalid parameter, or null.' }),
    }),
  ),
})

/** The `response` schemas of a route's errors in the format of the registry API. */
export function registryErrorResponses<const Status extends ErrorStatus>(...statuses: readonly Status[]) {
  return errorResponses('application/json', RegistryErrorsBody, statuses)
}
