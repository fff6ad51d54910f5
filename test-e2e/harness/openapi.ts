import { Ajv2020 } from 'ajv/dist/2020.js'
import addFormats from 'ajv-formats'
import type { OpenAPIV3_1 } from 'openapi-types'
import { basic } from './system.ts'
import type { Credentials, Reachable } from './system.ts'

export type DocumentName = 'auth' | 'images' | 'registry'
type Document = OpenAPIV3_1.Document
type Parameter = OpenAPIV3_1.ParameterObject

/** An operation of a document, with the parameters of its path. */
export interface DocumentedOperation {
  readonly id: string
  readonly method: string
  readonly path: string
  readonly tags: readonly string[]
  readonly parameters: readonly Parameter[]
  readonly bodies: Readonly<Record<string, OpenAPIV3_1.MediaTypeObject>>
  readonly responses: Readonly<Record<string, OpenAPIV3_1.ResponseObject>>
}

/** All operations of a document. */
export function operationsOf({ paths = {} }: Document): DocumentedOperation[] {
  return Object.entries(paths).flatMap(([path, item]) =>
    Object.entries(item ?? {})
      .filter(([method]) => method !== 'parameters')
      .map(([method, described]) => {
        const operation = described as OpenAPIV3_1.OperationObject
        return {
          id: operation.operationId ?? `${method} ${path}`,
          method: method.toUpperCase(),
          path,
          tags: operation.tags ?? [],
          parameters: [...(item?.parameters ?? []), ...(operation.parameters ?? [])] as Parameter[],
          bodies: (operation.requestBody as OpenAPIV3_1.RequestBodyObject | undefined)?.content ?? {},
          responses: operation.responses as Record<string, OpenAPIV3_1.ResponseObject>,
        }
      }),
  )
}

/** Every example of a parameter or a body. */
export function examplesOf({ example, examples }: Pick<Parameter, 'example' | 'examples'>): unknown[] {
  const several = Object.values(examples ?? {}).map(
    (one) => (one as OpenAPIV3_1.ExampleObject).value as unknown,
  )
  return example === undefined ? several : [example, ...several]
}

/** Values that the documents cannot contain: ids of the system, and names of objects that were made before. */
export interface Known {
  /** Values of parameters of the path, instead of their examples. */
  readonly path?: Readonly<Record<string, string>>
  /** Parameters of the query besides the examples. */
  readonly query?: URLSearchParams
  /** The body, instead of the examples. */
  readonly body?: { readonly type: string; readonly text: string }
  /** Names of parameters of the query whose examples are not sent. */
  readonly without?: readonly string[]
  /** The only type of body whose examples are sent. */
  readonly type?: string
}

/** A request as the examples of an operation describe it. */
export interface ExampleRequest {
  readonly target: string
  readonly type?: string
  readonly body?: string
}

/** One request for each example of the body; each has an example of every parameter. */
export function requestsOf(operation: DocumentedOperation, known: Known = {}): ExampleRequest[] {
  const { path, parameters, bodies } = operation
  const filled = path.replaceAll(/\{(\w+)\}/g, (_, name: string) => {
    const parameter = parameters.find((one) => one.in === 'path' && one.name === name)
    const value = known.path?.[name] ?? examplesOf(parameter ?? {})[0]
    if (value === undefined) throw new Error(`${operation.id} has no example of ${name}`)
    return operation.path.startsWith('/v2/') ? String(value) : encodeURIComponent(String(value))
  })
  const examples = Object.entries(bodies)
    .filter(([type]) => known.type === undefined || known.type === type)
    .flatMap(([type, media]) => examplesOf(media).map((example) => ({ type, example })))
  const given = known.body === undefined ? examples.map(toBody) : [known.body]
  if (Object.keys(bodies).length > 0 && given.length === 0)
    throw new Error(`${operation.id} has no example of its body`)
  return (given.length === 0 ? [undefined] : given).map((body) => {
    const query = new URLSearchParams(known.query)
    for (const parameter of parameters.filter(({ in: place }) => place === 'query')) {
      const [value] = examplesOf(parameter)
      if (value === undefined || known.without?.includes(parameter.name)) continue
      query.set(parameter.name, String(value))
    }
    return { target: query.size === 0 ? filled : `${filled}?${query}`, type: body?.type, body: body?.text }
  })
}

function toBody({ type, example }: { type: string; example: unknown }) {
  if (typeof example === 'string') return { type, text: example }
  if (!type.includes('form')) return { type, text: JSON.stringify(example) }
  const fields = Object.entries(example as object).map(([name, value]) => [name, String(value)])
  return { type, text: new URLSearchParams(fields).toString() }
}

export interface ExampleResponse {
  readonly status: number
  readonly headers: Headers
  readonly text: string
}

/** The cookie of a browser session. */
export interface SessionCookie {
  readonly cookie: string
}

/** Sends the request of an example with Basic credentials or a session. Redirects are not followed. */
export async function sendExample(
  system: Pick<Reachable, 'url'>,
  { method }: DocumentedOperation,
  { target, type, body }: ExampleRequest,
  as?: Credentials | SessionCookie,
): Promise<ExampleResponse> {
  const credentials = as && ('cookie' in as ? as : { authorization: basic(as) })
  const headers = {
    ...credentials,
    ...(type !== undefined && { 'content-type': type }),
  }
  const response = await fetch(`${system.url}${target}`, { method, headers, body, redirect: 'manual' })
  return { status: response.status, headers: response.headers, text: await response.text() }
}

/** Returns a function that compares responses with a document and says what does not fit; undefined if all does. */
export function createResponseCheck(document: Document) {
  const ajv = new Ajv2020({ strict: false, allErrors: true })
  addFormats.default(ajv)
  ajv.addSchema(document, 'document')

  return (
    { id, method, path, responses }: DocumentedOperation,
    response: ExampleResponse,
  ): string | undefined => {
    const { status, headers, text } = response
    const key = [String(status), `${String(status)[0]}XX`].find((name) => name in responses)
    if (key === undefined) return `${id} does not document ${status}: ${text}`
    const contents = Object.keys(responses[key]?.content ?? {})
    if (contents.length === 0 || method === 'HEAD') {
      return text === '' ? undefined : `${id} ${status} has a body: ${text}`
    }
    const [type = ''] = (headers.get('content-type') ?? '').split(';')
    if (!contents.includes(type)) return `${id} ${status} has the type ${type}, not ${contents.join(', ')}`
    const tokens = ['paths', path, method.toLowerCase(), 'responses', key, 'content', type, 'schema']
    const pointer = tokens.map((token) => token.replaceAll('~', '~0').replaceAll('/', '~1')).join('/')
    const validate = ajv.compile({ $ref: `document#/${encodeURI(pointer)}` })
    const body: unknown = type.includes('json') ? JSON.parse(text) : text
    return validate(body) ? undefined : `${id} ${status}: ${ajv.errorsText(validate.errors)} in ${text}`
  }
}
