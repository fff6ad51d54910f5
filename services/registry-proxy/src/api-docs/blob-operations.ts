import { BLOB } from './examples.ts'
import type { Kind, PathOf } from './operation.ts'
import { readable } from './operation.ts'
import { CLOSING_DIGEST, DIGEST, MOUNT, NAME, RANGE, UPLOAD } from './parameters.ts'

const bytes = { 'application/octet-stream': { schema: {}, example: BLOB } }

/** Requests for blobs and uploads. */
export const BLOB_OPERATIONS: {
  readonly [K in Extract<Kind, 'blob' | 'upload-start' | 'upload'>]: PathOf<K>
} = {
  blob: {
    path: '/v2/{name}/blobs/{digest}',
    tag: 'blobs',
    parameters: [NAME, DIGEST],
    methods: {
      ...readable({
        id: 'getBlob',
        summary: 'Pull a blob',
        parameters: [RANGE],
        responses: {
          200: { description: 'The blob.', headers: ['Docker-Content-Digest'], content: bytes },
          206: { description: 'A part of the blob.', headers: ['Content-Range'], content: bytes },
          307: { description: 'The storage has the blob, at `Location`.', headers: ['Location'] },
        },
        errors: ['NAME_INVALID', 'DIGEST_INVALID', 'BLOB_UNKNOWN', 'NAME_UNKNOWN', ['SIZE_INVALID', 416]],
      }),
      DELETE: {
        id: 'deleteBlob',
        summary: 'Delete a blob',
        description: 'Deletes the blob from the repository, even if a manifest there references it.',
        responses: { 202: { description: 'It is deleted.' } },
        errors: ['NAME_INVALID', 'DIGEST_INVALID', 'BLOB_UNKNOWN'],
      },
    },
  },
  'upload-start': {
    path: '/v2/{name}/blobs/uploads/',
    tag: 'uploads',
    parameters: [NAME],
    methods: {
      POST: {
        id: 'startUpload',
        summary: 'Start an upload, or mount a blob',
        description:
          'With `mount` and `from` the blob is mounted, if the account may pull it there; otherwise an upload starts.',
        parameters: MOUNT,
        responses: {
          201: { description: 'The blob is mounted.', headers: ['Location', 'Docker-Content-Digest'] },
          202: { description: 'An upload is started.', headers: ['Location', 'Docker-Upload-UUID', 'Range'] },
        },
        errors: ['NAME_INVALID', 'DIGEST_INVALID'],
      },
    },
  },
  upload: {
    path: '/v2/{name}/blobs/uploads/{id}',
    tag: 'uploads',
    parameters: [NAME, UPLOAD],
    methods: {
      ...readable({
        id: 'getUpload',
        summary: 'Get the status of an upload',
        responses: {
          204: { description: 'The upload is open.', headers: ['Location', 'Range', 'Docker-Upload-UUID'] },
        },
        errors: ['NAME_INVALID', 'BLOB_UPLOAD_UNKNOWN'],
      }),
      PATCH: {
        id: 'uploadChunk',
        summary: 'Upload a chunk',
        description: 'Without `Content-Range` the body is appended, and may be the whole blob.',
        body: bytes,
        responses: {
          202: {
            description: 'The chunk has arrived.',
            headers: ['Location', 'Range', 'Docker-Upload-UUID'],
          },
        },
        errors: ['NAME_INVALID', 'BLOB_UPLOAD_UNKNOWN', ['BLOB_UPLOAD_INVALID', 416], ['UNSUPPORTED', 415]],
      },
      PUT: {
        id: 'closeUpload',
        summary: 'Close an upload',
        description: 'The body may be the last chunk or the whole blob.',
        parameters: [CLOSING_DIGEST],
        responses: {
          201: { description: 'The blob is stored.', headers: ['Location', 'Docker-Content-Digest'] },
        },
        errors: [
          'NAME_INVALID',
          'DIGEST_INVALID',
          'BLOB_UPLOAD_UNKNOWN',
          ['BLOB_UPLOAD_INVALID', 416],
          ['UNSUPPORTED', 415],
        ],
      },
      DELETE: {
        id: 'cancelUpload',
        summary: 'Cancel an upload',
        responses: { 204: { description: 'The upload is canceled.' } },
        errors: ['NAME_INVALID', 'BLOB_UPLOAD_UNKNOWN'],
      },
    },
  },
}
