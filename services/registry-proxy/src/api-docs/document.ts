import { BASIC_OR_BEARER } from '@registry-manager/http'
import type { ErrorCode } from '@registry-manager/oci'
import { ERROR_CODES } from '@registry-manager/oci'
import type { OpenAPIV3_1 } from 'openapi-types'
import type { DocumentedPath, Operation, Success } from './operation.ts'
import { HEADERS } from './operation.ts'
import { OPERATIONS } from './operations.ts'
import type { Parameter } from './parameters.ts'

/** Codes that every operation can respond with. */
const EVERYWHERE: readonly ErrorCode[] = ['UNAUTHORIZED', 'DENIED', 'TOOMANYREQUESTS', 'UNAVAILABLE']

const ERRORS: OpenAPIV3_1.SchemaObject = {
  type: 'object',
  properties: {
    errors: {
      type: 'array',
      items: {
        type: 'object',
        properties: {
          code: { type: 'string' },
          message: { type: 'string' },
          detail: {
            description:
              'For 401 and 403: the scopes `required` and `permitted`, `help`, which says how to get the missing right, ' +
              'and `explain`, the URL of an explanation.',
          },
        },
        required: ['code', 'message', 'detail'],
      },
      minItems: 1,
    },
  },
  required: ['errors'],
}
const ERROR_HEADERS: Readonly<Record<number, Readonly<Record<string, string>>>> = {
  401: { 'WWW-Authenticate': 'The token endpoint, and the scope of the required token.' },
  429: { 'Retry-After': 'Seconds after which a retry can succeed.' },
  503: { 'Retry-After': 'Seconds after which a retry can succeed.' },
}

/** The description of the registry API for its OpenAPI document, built from the table of operations. */
export const API_DESCRIPTION = {
  name: 'registry',
  title: 'Registry API',
  description: `The registry API of the [OCI distribution-spec 1.1](https://github.com/opencontainers/distribution-spec),
for docker, podman, helm and every other registry client.

A request without valid credentials gets 401 with a Bearer challenge, which names the token endpoint and the scope. A
token without the right gets 401 with \`insufficient_scope\`, Basic credentials without the right get 403. The response is
the same for a repository that exists and for one that does not.

Differences from distribution: the catalog shows only what the account may pull; lists, referrers and deletions are
answered from the index; a manifest is returned in the type in which it was pushed; an upload belongs to the account
that started it; a POST with \`digest\` starts an ordinary upload.`,
  tags: [
    { name: 'registry', description: 'Credentials and the catalog.' },
    { name: 'manifests', description: 'Manifests, tags and referrers.' },
    { name: 'blobs', description: 'Blobs: layers and configurations.' },
    { name: 'uploads', description: 'Uploads of blobs.' },
  ],
  paths: Object.fromEntries(
    Object.values<DocumentedPath>(OPERATIONS).map((one) => [one.path, toPathItem(one)]),
  ),
} as const

function toPathItem({ parameters, tag, methods }: DocumentedPath): OpenAPIV3_1.PathItemObject {
  const operations = Object.entries(methods).map(([method, operation]) => [
    method.toLowerCase(),
    toOperation(operation, tag),
  ])
  return { parameters: toParameters(parameters), ...Object.fromEntries(operations) }
}

function toOperation(operation: Operation, tag: string): OpenAPIV3_1.OperationObject {
  const { id, summary, description, parameters = [], body, responses, errors = [] } = operation
  const successes = Object.entries(responses).map(([status, success]) => [status, toResponse(success)])
  return {
    operationId: id,
    summary,
    ...(description && { description }),
    tags: [tag],
    security: BASIC_OR_BEARER,
    ...(parameters.length > 0 && { parameters: toParameters(parameters) }),
    ...(body && { requestBody: { content: body, required: true } }),
    responses: { ...Object.fromEntries(successes), ...toErrorResponses([...EVERYWHERE, ...errors]) },
  }
}

/** The type of parameters in openapi-types has the schemas of OpenAPI 3.0. */
function toParameters(parameters: readonly Parameter[]): OpenAPIV3_1.ParameterObject[] {
  return parameters as unknown as OpenAPIV3_1.ParameterObject[]
}

function toResponse({ description, headers = [], content }: Success): OpenAPIV3_1.ResponseObject {
  const described = headers.map((name) => [name, headerOf(HEADERS[name])])
  return {
    description,
    ...(headers.length > 0 && { headers: Object.fromEntries(described) }),
    ...(content && { content }),
  }
}

function toErrorResponses(errors: NonNullable<Operation['errors']>): OpenAPIV3_1.ResponsesObject {
  const codes = new Map<number, ErrorCode[]>()
  for (const error of errors) {
    const [code, status] = typeof error === 'string' ? [error, ERROR_CODES[error].status] : error
    codes.set(status, [...(codes.get(status) ?? []), code])
  }
  const responses = [...codes].map(([status, codes]) => {
    const headers = Object.entries(ERROR_HEADERS[status] ?? {}).map(([name, text]) => [name, headerOf(text)])
    const response = {
      description: codes.map((code) => `\`${code}\``).join(', '),
      ...(headers.length > 0 && { headers: Object.fromEntries(headers) }),
      content: { 'application/json': { schema: ERRORS } },
    }
    return [status, response]
  })
  return Object.fromEntries(responses)
}

function headerOf(description: string): OpenAPIV3_1.HeaderObject {
  return { description, schema: { type: 'string' } }
}
