import type { Reference } from '@registry-manager/oci'
import { storeIndexOnly, isIndexOnly } from './index-only.ts'
import { digestLike, parseManifest } from '../index/manifest.ts'
import type { RemovePorts } from '../delete/delete.ts'

type Refusal = 'DIGEST_INVALID' | 'MANIFEST_BLOB_UNKNOWN' | 'MANIFEST_INVALID'

export interface PushedManifest {
  readonly repository: string
  readonly reference: Reference
  /** The Content-Type that it was pushed with. */
  readonly type: string
  readonly raw: Buffer
}

export type AnnounceOutcome =
  | { readonly outcome: 'admitted'; readonly id: string; readonly digest: string }
  | { readonly outcome: 'kept'; readonly digest: string; readonly subject: string | null }
  | {
      readonly outcome: 'refused'
      readonly code: Refusal
      readonly status?: number
      readonly message: string
    }

/**
 * Decides on a manifest before the registry sees it: malformed ones are refused, what the registry cannot take
 * is kept here, and of every other a note is made that it is on its way.
 */
export async function announceManifest(
  ports: RemovePorts,
  { repository, reference, type, raw }: PushedManifest,
): Promise<AnnounceOutcome> {
  const parsed = parseManifest(raw, type)
  if ('malformed' in parsed) return refused('MANIFEST_INVALID', parsed.malformed)
  const { raw: _, ...facts } = parsed.manifest
  if ('digest' in reference && digestLike(reference.digest, raw) !== reference.digest) {
    return refused('DIGEST_INVALID', 'the manifest has another digest than the one it was pushed by')
  }
  const tag = 'tag' in reference ? reference.tag : undefined
  const { digest, mediaType, subject = null } = facts
  if (!isIndexOnly(facts)) {
    const digests = [...new Set(facts.references.map((reference) => reference.digest))]
    const admission = { repository, digest, tag: tag ?? null, mediaType, raw, facts, digests }
    const id = await ports.index.admit(admission)
    // First recorded, then looked for: a deletion does the same the other way round.
    const removed = await ports.index.findRemoval(repository, digests)
    if (removed === undefined) return { outcome: 'admitted', id, digest }
    await ports.index.removePendingPush(id)
    const message = `${removed}, which the manifest names, is being deleted from ${repository}; push it again`
    return { outcome: 'refused', code: 'MANIFEST_BLOB_UNKNOWN', status: 400, message }
  }
  const missing = await storeIndexOnly(ports, repository, parsed.manifest, tag)
  if (missing === undefined) return { outcome: 'kept', digest, subject }
  return refused('MANIFEST_BLOB_UNKNOWN', `the index names ${missing}, which is not there`)
}

function refused(code: Refusal, message: string): AnnounceOutcome {
  return { outcome: 'refused', code, message }
}
