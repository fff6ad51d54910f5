import type { ErrorCode, RegistryRequest } from '@registry-manager/oci'
import type { OpenAPIV3_1 } from 'openapi-types'
import type { Parameter } from './parameters.ts'

export type Kind = RegistryRequest['kind']
type MethodOf<K extends Kind> = Extract<RegistryRequest, { readonly kind: K }>['method']

/** A response that is no error. */
export interface Success {
  readonly description: string
  readonly headers?: readonly (keyof typeof HEADERS)[]
  readonly content?: Readonly<Record<string, OpenAPIV3_1.MediaTypeObject>>
}

export interface Operation {
  readonly id: string
  readonly summary: string
  readonly description?: string
  readonly parameters?: readonly Parameter[]
  readonly body?: Readonly<Record<string, OpenAPIV3_1.MediaTypeObject>>
  readonly responses: Readonly<Record<number, Success>>
  /** Codes besides those of every operation; with a status where it is not the code's own. */
  readonly errors?: readonly (ErrorCode | readonly [ErrorCode, status: number])[]
}

/** A path with the operations of its methods. */
export interface DocumentedPath {
  readonly path: string
  readonly tag: 'registry' | 'manifests' | 'blobs' | 'uploads'
  readonly parameters: readonly Parameter[]
  readonly methods: Readonly<Record<string, Operation>>
}

/** The path of a kind of request. The compiler demands every method of the grammar. */
export interface PathOf<K extends Kind> extends DocumentedPath {
  readonly methods: Readonly<Record<MethodOf<K>, Operation>>
}

/** The headers of responses. */
export const HEADERS = {
  Link: 'The next page, with `rel="next"`, if there is one.',
  Location: 'The path of the new resource.',
  'Docker-Content-Digest': 'The digest of the content, in the algorithm of the request.',
  'Docker-Upload-UUID': 'The id of the upload.',
  Range: 'The bytes that have arrived, such as `0-99`.',
  'OCI-Subject': "The digest of the manifest's subject, if it has one.",
  'OCI-Tag': 'The tags that were set, one header for each.',
  'OCI-Filters-Applied': '`artifactType`, if the list was filtered.',
  'Content-Range': 'The range of bytes in the response.',
} as const

/** The schema of an object with any properties. */
export const anyObject: OpenAPIV3_1.SchemaObject = { type: 'object', additionalProperties: true }
/** The content of a JSON response. */
export const json = (schema: OpenAPIV3_1.SchemaObject) => ({ 'application/json': { schema } })
/** The schema of an object that has all of these properties. */
export const object = (properties: Record<string, OpenAPIV3_1.SchemaObject>): OpenAPIV3_1.SchemaObject => ({
  type: 'object',
  properties,
  required: Object.keys(properties),
})
export const list = (items: OpenAPIV3_1.SchemaObject): OpenAPIV3_1.SchemaObject => ({ type: 'array', items })

/** The same operation by HEAD: the headers of the GET without its body. */
function headOf(operation: Operation): Operation {
  const responses = Object.entries(operation.responses).map(([status, response]) => [
    status,
    { ...response, content: undefined },
  ])
  return {
    ...operation,
    id: operation.id.replace(/^\w[a-z]+/, 'head'),
    summary: `${operation.summary}, without a body`,
    responses: Object.fromEntries(responses),
  }
}
/** GET and HEAD of the same operation. */
export const readable = (get: Operation) => ({ GET: get, HEAD: headOf(get) })
