import { createHash } from 'node:crypto'
import { MEDIA_TYPES } from '@registry-manager/oci'

/*
 * The examples of the document. They fit together: the blob is uploaded, the manifest references it.
 */

export const REPOSITORY = 'team/app'
export const TAG = '1.0'
/** Source: OCI image-spec 1.1, "Guidance for an Empty Descriptor". */
export const BLOB = '{}'
export const BLOB_DIGEST = digestOf(BLOB)
/** A placeholder: the id of an upload is known only after its start. */
export const UPLOAD_ID = '6f0e1d94-5f0b-4a55-9f6e-0a1f2b3c4d5e'

const EMPTY = { mediaType: 'application/vnd.oci.empty.v1+json', digest: BLOB_DIGEST, size: BLOB.length }
export const MANIFEST = {
  schemaVersion: 2,
  mediaType: MEDIA_TYPES.ociManifest,
  artifactType: 'application/vnd.example.note.v1',
  config: EMPTY,
  layers: [EMPTY],
}

function digestOf(text: string): string {
  return `sha256:${createHash('sha256').update(text).digest('hex')}`
}
