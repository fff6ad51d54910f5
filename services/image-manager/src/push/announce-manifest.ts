import type { Reference } from '@registry-manager/oci'
import { findRemoval } from '../delete/removal.ts'
import type { ManifestFacts } from '../index/manifest.ts'
import { digestLike, parseManifest } from '../index/manifest.ts'
import type { StoreIndexOnlyPorts } from './index-only.ts'
import { isIndexOnly, storeIndexOnly } from './index-only.ts'

export type AnnounceManifestPorts = StoreIndexOnlyPorts & {
  readonly pendingPushes: {
    insertPendingPush(pending: {
      readonly repository: string
      readonly digest: string
      readonly tag: string | null
      readonly mediaType: string
      readonly raw: Buffer
      readonly facts: ManifestFacts
      readonly digests: readonly string[]
    }): Promise<string>
    removePendingPush(id: string): Promise<void>
  }
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
  const { raw: _, ...facts } = parsed.manifest
  if ('digest' in reference && digestLike(reference.digest, raw) !== reference.digest) {
    return refused('DIGEST_INVALID', `the digest of the manifest is not ${reference.digest}`)
  }
  const tag = 'tag' in reference ? reference.tag : undefined
  const { digest, mediaType, subject = null } = facts
  if (isIndexOnly(facts)) {
    const missing = await storeIndexOnly(ports, repository, parsed.manifest, tag)
    if (missing === undefined) return { outcome: 'index-only', digest, subject }
    const message = `the image index references ${missing}, which does not exist in ${repository}; push it first`
    return refused('MANIFEST_BLOB_UNKNOWN', message)
  }
  const digests = [...new Set(facts.references.map((reference) => reference.digest))]
  const pending = { repository, digest, tag: tag ?? null, mediaType, raw, facts, digests }
  const id = await ports.pendingPushes.insertPendingPush(pending)
  // Recorded first, checked later. A deletion announces its removal and then checks for pushes, so of two at the same
  // time at least one sees the other.
  const removed = await findRemoval(ports, repository, digests)
  if (removed === undefined) return { outcome: 'announced', id, digest }
  await ports.pendingPushes.removePendingPush(id)
  const message = `${removed}, which the manifest references, is being deleted from ${repository}; push it again`
  return { ...refused('MANIFEST_BLOB_UNKNOWN', message), status: 400 }
}

function refused(code: Refusal, message: string) {
  return { outcome: 'refused', code, message } as const
}
