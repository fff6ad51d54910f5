import type { Reference } from '@registry-manager/oci'
import { findRemoval } from '../delete/removal.ts'
import type { Manifest } from '../index/manifest.ts'
import { digestLike, parseManifest } from '../index/manifest.ts'
import type { StoreIndexOnlyPorts } from './index-only.ts'
import { isIndexOnly, storeIndexOnly } from './index-only.ts'

export type AnnounceManifestPorts = StoreIndexOnlyPorts & {
  readonly pendingPushes: {
    /** Stores the push and its manifest. Undefined, and stores nothing, while the repository is being deleted. */
    insertPendingPush(pending: {
      readonly repository: string
      readonly tag: string | null
      readonly manifest: Manifest
    }): Promise<string | undefined>
    removePendingPush(id: string): Promise<void>
  }
  readonly deletions: { isBeingDeleted(repository: string): Promise<boolean> }
}

type Refusal = 'DIGEST_INVALID' | 'MANIFEST_BLOB_UNKNOWN' | 'MANIFEST_INVALID'

export interface PushedManifest {
  readonly repository: string
  readonly reference: Reference
  /** The Content-Type of the push. */
  readonly type: string
  readonly raw: Buffer
}

export type AnnounceOutcome =
  | { readonly outcome: 'announced'; readonly id: string; readonly digest: string }
  /** Stored in the index, because the registry cannot store it. */
  | { readonly outcome: 'index-only'; readonly digest: string; readonly subject: string | null }
  /** The repository is being deleted. The client may retry when that has ended. */
  | { readonly outcome: 'being-deleted' }
  | {
      readonly outcome: 'refused'
      readonly code: Refusal
      readonly status?: number
      readonly message: string
    }

/**
 * Decides about a manifest before the registry gets it. Refuses a malformed one, stores one that the registry cannot
 * store in the index, and records every other one as a pending push.
 */
export async function announceManifest(
  ports: AnnounceManifestPorts,
  { repository, reference, type, raw }: PushedManifest,
): Promise<AnnounceOutcome> {
  const parsed = parseManifest(raw, type)
  if ('malformed' in parsed) return refused('MANIFEST_INVALID', parsed.malformed)
  const { manifest } = parsed
  if ('digest' in reference && digestLike(reference.digest, raw) !== reference.digest) {
    return refused('DIGEST_INVALID', `the digest of the manifest is not ${reference.digest}`)
  }
  const tag = 'tag' in reference ? reference.tag : undefined
  const { digest, subject = null } = manifest
  if (isIndexOnly(manifest)) {
    if (await ports.deletions.isBeingDeleted(repository)) return { outcome: 'being-deleted' }
    const missing = await storeIndexOnly(ports, repository, manifest, tag)
    if (missing === undefined) return { outcome: 'index-only', digest, subject }
    const message = `the image index references ${missing}, which does not exist in ${repository}; push it first`
    return refused('MANIFEST_BLOB_UNKNOWN', message)
  }
  const id = await ports.pendingPushes.insertPendingPush({ repository, tag: tag ?? null, manifest })
  if (id === undefined) return { outcome: 'being-deleted' }
  // Recorded first, checked later. A deletion announces its removal and then checks for pushes, so of two at the same
  // time at least one sees the other.
  const digests = new Set(manifest.references.map((reference) => reference.digest))
  const removed = await findRemoval(ports, repository, [...digests])
  if (removed === undefined) return { outcome: 'announced', id, digest }
  await ports.pendingPushes.removePendingPush(id)
  const message = `${removed}, which the manifest references, is being deleted from ${repository}; push it again`
  return { ...refused('MANIFEST_BLOB_UNKNOWN', message), status: 400 }
}

function refused(code: Refusal, message: string) {
  return { outcome: 'refused', code, message } as const
}
