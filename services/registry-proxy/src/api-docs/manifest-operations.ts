import { MANIFEST_MEDIA_TYPES, MEDIA_TYPES } from '@registry-manager/oci'
import { MANIFEST } from './examples.ts'
import type { Kind, PathOf } from './operation.ts'
import { anyObject, json, list, object, readable } from './operation.ts'
import {
  ACCEPT,
  DIGEST,
  DIGEST_SCHEMA,
  FORCE,
  NAME,
  NAME_SCHEMA,
  PAGE,
  REFERENCE,
  REFERRERS,
  TAGS,
  TAG_SCHEMA,
} from './parameters.ts'

const manifest = Object.fromEntries(MANIFEST_MEDIA_TYPES.map((type) => [type, { schema: anyObject }]))
const PUSHED = { [MEDIA_TYPES.ociManifest]: { schema: anyObject, example: MANIFEST } }
const TAG_LIST = json(object({ name: NAME_SCHEMA, tags: list(TAG_SCHEMA) }))
const DESCRIPTORS = {
  [MEDIA_TYPES.ociIndex]: {
    schema: object({
      schemaVersion: { type: 'integer', enum: [2] },
      mediaType: { type: 'string', enum: [MEDIA_TYPES.ociIndex] },
      manifests: list(
        object({ mediaType: { type: 'string' }, digest: DIGEST_SCHEMA, size: { type: 'integer' } }),
      ),
    }),
  },
}

/** Requests for manifests, tags and referrers. */
export const MANIFEST_OPERATIONS: {
  readonly [K in Extract<Kind, 'tags' | 'referrers' | 'manifest'>]: PathOf<K>
} = {
  tags: {
    path: '/v2/{name}/tags/list',
    tag: 'manifests',
    parameters: [NAME, ...PAGE],
    methods: readable({
      id: 'getTags',
      summary: 'List the tags of a repository',
      description: 'Lists tags in byte order, 10,000 on a page without `n`.',
      responses: { 200: { description: 'A page of tags.', headers: ['Link'], content: TAG_LIST } },
      errors: ['PAGINATION_NUMBER_INVALID', 'NAME_INVALID', 'NAME_UNKNOWN'],
    }),
  },
  referrers: {
    path: '/v2/{name}/referrers/{digest}',
    tag: 'manifests',
    parameters: [NAME, DIGEST, ...REFERRERS],
    methods: readable({
      id: 'getReferrers',
      summary: 'List the manifests that refer to a manifest',
      description: 'Lists signatures, SBOMs and other manifests whose `subject` is the digest.',
      responses: {
        200: {
          description: 'An image index.',
          headers: ['Link', 'OCI-Filters-Applied'],
          content: DESCRIPTORS,
        },
      },
      errors: ['NAME_INVALID', 'DIGEST_INVALID'],
    }),
  },
  manifest: {
    path: '/v2/{name}/manifests/{reference}',
    tag: 'manifests',
    parameters: [NAME, REFERENCE],
    methods: {
      ...readable({
        id: 'getManifest',
        summary: 'Pull a manifest',
        parameters: [ACCEPT],
        responses: {
          200: { description: 'The manifest.', headers: ['Docker-Content-Digest'], content: manifest },
        },
        errors: ['NAME_INVALID', 'DIGEST_INVALID', 'MANIFEST_UNKNOWN', 'NAME_UNKNOWN'],
      }),
      PUT: {
        id: 'putManifest',
        summary: 'Push a manifest',
        description:
          'At most 4 MiB. The blobs and manifests that it references must have been pushed before.',
        parameters: [TAGS],
        body: PUSHED,
        responses: {
          201: {
            description: 'The manifest is stored.',
            headers: ['Location', 'Docker-Content-Digest', 'OCI-Subject', 'OCI-Tag'],
          },
        },
        errors: [
          'NAME_INVALID',
          'TAG_INVALID',
          ['TAG_INVALID', 414],
          'DIGEST_INVALID',
          'MANIFEST_INVALID',
          ['MANIFEST_INVALID', 413],
          ['MANIFEST_BLOB_UNKNOWN', 400],
          'MANIFEST_BLOB_UNKNOWN',
          ['UNSUPPORTED', 415],
        ],
      },
      DELETE: {
        id: 'deleteManifest',
        summary: 'Delete a manifest or a tag',
        description:
          'By tag it deletes only the tag; by digest the manifest, its tags, and the blobs that only it needs.',
        parameters: [FORCE],
        responses: { 202: { description: 'It is deleted.' } },
        errors: ['NAME_INVALID', 'DIGEST_INVALID', 'MANIFEST_UNKNOWN', ['DENIED', 409]],
      },
    },
  },
}
