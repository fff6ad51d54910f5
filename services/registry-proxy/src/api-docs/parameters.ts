import {
  DIGEST_PATTERN,
  MANIFEST_MEDIA_TYPES,
  MAX_NAME_LENGTH,
  REPOSITORY_NAME_PATTERN,
  TAG_PATTERN,
} from '@registry-manager/oci'
import type { OpenAPIV3_1 } from 'openapi-types'
import { BLOB_DIGEST, REPOSITORY, TAG, UPLOAD_ID } from './examples.ts'

export interface Parameter {
  readonly name: string
  readonly in: 'path' | 'query' | 'header'
  readonly required?: true
  readonly description: string
  readonly schema: OpenAPIV3_1.SchemaObject
  readonly example?: string | number
}

const path = (
  name: string,
  description: string,
  schema: OpenAPIV3_1.SchemaObject,
  example: string,
): Parameter => ({
  name,
  in: 'path',
  required: true,
  description,
  schema,
  example,
})
const query = (
  name: string,
  description: string,
  schema: OpenAPIV3_1.SchemaObject,
  example: string | number,
): Parameter => ({ name, in: 'query', description, schema, example })

export const DIGEST_SCHEMA: OpenAPIV3_1.SchemaObject = { type: 'string', pattern: DIGEST_PATTERN }
export const NAME_SCHEMA: OpenAPIV3_1.SchemaObject = {
  type: 'string',
  pattern: REPOSITORY_NAME_PATTERN,
  maxLength: MAX_NAME_LENGTH,
}
export const TAG_SCHEMA: OpenAPIV3_1.SchemaObject = { type: 'string', pattern: TAG_PATTERN }

export const NAME = path(
  'name',
  'The name of the repository. Its slashes are sent as they are, never percent-encoded.',
  NAME_SCHEMA,
  REPOSITORY,
)
export const REFERENCE = path(
  'reference',
  'A tag, or the digest of a manifest.',
  { anyOf: [TAG_SCHEMA, DIGEST_SCHEMA] },
  TAG,
)
export const DIGEST = path(
  'digest',
  'A digest: sha256 or sha512, in lower-case hex.',
  DIGEST_SCHEMA,
  BLOB_DIGEST,
)
export const UPLOAD = path(
  'id',
  'The id of an upload, from the `Location` of its start. Clients use the whole `Location`, with its query.',
  { type: 'string' },
  UPLOAD_ID,
)

export const PAGE: readonly Parameter[] = [
  query('n', 'The length of the page; more than 1000 counts as 1000.', { type: 'integer', minimum: 0 }, 10),
  query('last', 'The page starts after this entry.', { type: 'string' }, 'a'),
]
export const REFERRERS: readonly Parameter[] = [
  query(
    'artifactType',
    'Only referrers of this type.',
    { type: 'string' },
    'application/vnd.example.note.v1',
  ),
]
export const FORCE = query(
  'force',
  '`true` deletes the manifest even if an image index references it.',
  { type: 'string', enum: ['true'] },
  'true',
)
export const TAGS: Parameter = {
  name: 'tag',
  in: 'query',
  description: 'A tag that a push by digest sets, too. May be given up to 10 times.',
  schema: { type: 'array', items: TAG_SCHEMA, maxItems: 10 },
}
export const MOUNT: readonly Parameter[] = [
  query('mount', 'The digest of a blob to mount from another repository.', DIGEST_SCHEMA, BLOB_DIGEST),
  query('from', 'The repository to mount the blob from.', NAME_SCHEMA, REPOSITORY),
]
export const CLOSING_DIGEST: Parameter = {
  ...query('digest', 'The digest of the whole blob.', DIGEST_SCHEMA, BLOB_DIGEST),
  required: true,
}

export const ACCEPT: Parameter = {
  name: 'Accept',
  in: 'header',
  description:
    `Media types such as ${MANIFEST_MEDIA_TYPES.join(', ')}. A manifest is returned in the type in which it was ` +
    'pushed, even if Accept does not name that type. One exception: by tag, a client that accepts Docker images but ' +
    "no Docker lists gets the list's linux/amd64 image.",
  schema: { type: 'string' },
}
export const RANGE: Parameter = {
  name: 'Range',
  in: 'header',
  description: 'A range of bytes (RFC 9110 §14.2).',
  schema: { type: 'string' },
}
