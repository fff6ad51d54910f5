import type { RawBuilder } from 'kysely'
import { sql } from 'kysely'

/* Conditions about a digest of the storage, for statements of several repositories. */

/**
 * Whether any row references a digest of the storage, in any repository: manifests and their references (pending ones,
 * index-only ones and those of the trash included), uploaded blobs, and aliases. The deletion of such a row releases
 * the digest again.
 */
export const isReferenced = (digest: RawBuilder<unknown>) => sql<boolean>`(
  exists (select from all_manifests where all_manifests.digest = ${digest})
  or exists (select from manifest_references where manifest_references.digest = ${digest})
  or exists (select from repository_blobs where repository_blobs.digest = ${digest})
  or exists (select from blob_aliases where blob_aliases.sha256 = ${digest}))`

/**
 * Whether a pending push references a digest. Its end does not release the digest, so the blob must be reviewed again.
 * A pending push of an early version may reference any digest.
 */
export const isPushed = (digest: RawBuilder<unknown>) => sql<boolean>`exists (
  select from pending_pushes where pending_pushes.digest = ${digest}
    or pending_pushes.digests is null or ${digest} = any(pending_pushes.digests))`
