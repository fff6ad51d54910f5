import type { Reference } from '@registry-manager/oci'
import { findRemoval } from '../delete/removal.ts'
import type { TagRulesPort } from '../immutability/find-protected.ts'
import type { ProtectedTag } from '../immutability/tag-rule.ts'
import { describeProtection, findProtection } from '../immutability/tag-rule.ts'
import type { Manifest } from '../index/manifest.ts'
import { digestLike, parseManifest } from '../index/manifest.ts'
import type { StoreIndexOnlyPorts } from './index-only.ts'
import { isIndexOnly, storeIndexOnly } from './index-only.ts'

export type AnnounceManifestPorts = StoreIndexOnlyPorts &
  TagRulesPort & {
    readonly pendingPushes: {
      /** Stores the push and its manifest. Undefined, and stores nothing, while the repository is being deleted. */
      insertPendingPush(pending: {
        readonly repository: string
        readonly tag: string | null
        readonly manifest: Manifest
      }): Promise<string | undefined>
      /**
       * Does the same for a push of an immutable tag. Stores nothing if the tag names another manifest, or if a pending
       * push will make it name another one: `taken` is the digest of that manifest.
       */
      insertImmutablePush(pending: {
        readonly repository: string
        readonly tag: string
        readonly manifest: Manifest
      }): Promise<{ readonly id: string | undefined } | { readonly taken: string }>
      removePendingPush(id: string): Promise<void>
    }
    readonly deletions: { isBeingDeleted(repository: string): Promise<boolean> }
  }

type Refusal = 'DENIED' | 'DIGEST_INVALID' | 'MANIFEST_BLOB_UNKNOWN' | 'MANIFEST_INVALID'

export interface PushedManifest {
  readonly repository: string
  readonly reference: Reference
  /** The Content-Type of the push. */
  readonly type: string
  readonly raw: Buffer
  /** Refuses the push if the tag names another manifest, as if the tag was immutable. */
  readonly unlessTaken?: boolean
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
      /** The facts of the refusal, for programs. */
      readonly detail?: Readonly<Record<string, unknown>>
    }

/**
 * Decides about a manifest before the registry gets it. Refuses a malformed one and one that would move an immutable
 * tag, stores in the index a manifest that the registry cannot store, and records every other manifest as a pending
 * push.
 */
export async function announceManifest(
  ports: AnnounceManifestPorts,
  { repository, reference, type, raw, unlessTaken = false }: PushedManifest,
): Promise<AnnounceOutcome> {
  const parsed = parseManifest(raw, type)
  if ('malformed' in parsed) return refused('MANIFEST_INVALID', parsed.malformed)
  const { manifest } = parsed
  if ('digest' in reference && digestLike(reference.digest, raw) !== reference.digest) {
    return refused('DIGEST_INVALID', `the digest of the manifest is not ${reference.digest}`)
  }
  const tag = 'tag' in reference ? reference.tag : undefined
  const protection = tag && findProtection(await ports.tagRules.listRules(repository), repository, tag)
  if (tag !== undefined && (protection || unlessTaken))
    return announceImmutable(ports, { repository, tag, manifest, protection: protection || undefined })
  if (isIndexOnly(manifest)) {
    if (await ports.deletions.isBeingDeleted(repository)) return { outcome: 'being-deleted' }
    return announceIndexOnly(ports, repository, manifest, tag)
  }
  const id = await ports.pendingPushes.insertPendingPush({ repository, tag: tag ?? null, manifest })
  return id === undefined ? { outcome: 'being-deleted' } : refuseRemoved(ports, { id, repository, manifest })
}

/**
 * Announces the push of a tag that the push must not move: an immutable one, or one that is restored. The pending push
 * reserves the tag for its manifest until the push ends, so the push of an index-only manifest is stored as a pending
 * push, too.
 */
async function announceImmutable(
  ports: AnnounceManifestPorts,
  {
    repository,
    tag,
    manifest,
    protection,
  }: {
    readonly repository: string
    readonly tag: string
    readonly manifest: Manifest
    readonly protection: ProtectedTag | undefined
  },
): Promise<AnnounceOutcome> {
  const stored = await ports.pendingPushes.insertImmutablePush({ repository, tag, manifest })
  if ('taken' in stored) {
    const why =
      protection === undefined
        ? `the tag ${tag} of ${repository} exists`
        : describeProtection(protection, repository)
    const message = `${why}, and names ${stored.taken}`
    return { ...refused('DENIED', message), detail: { ...protection, digest: stored.taken } }
  }
  const { id } = stored
  if (id === undefined) return { outcome: 'being-deleted' }
  // A deletion of this manifest would take the tag with it.
  const announced = await refuseRemoved(ports, { id, repository, manifest }, [manifest.digest])
  if (announced.outcome === 'refused' || !isIndexOnly(manifest)) return announced
  try {
    return await announceIndexOnly(ports, repository, manifest, tag)
  } finally {
    await ports.pendingPushes.removePendingPush(id)
  }
}

async function announceIndexOnly(
  ports: AnnounceManifestPorts,
  repository: string,
  manifest: Manifest,
  tag: string | undefined,
): Promise<AnnounceOutcome> {
  const { digest, subject = null } = manifest
  const missing = await storeIndexOnly(ports, repository, manifest, tag)
  if (missing === undefined) return { outcome: 'index-only', digest, subject }
  const message = `the image index references ${missing}, which does not exist in ${repository}; push it first`
  return refused('MANIFEST_BLOB_UNKNOWN', message)
}

/**
 * Refuses a pending push if a deletion is removing something that its manifest references, or one of `others`. The push
 * is stored before this check. A deletion lists the content that it removes before it looks for pushes. So if both run
 * at the same time, at least one of them sees the other.
 */
async function refuseRemoved(
  ports: AnnounceManifestPorts,
  {
    id,
    repository,
    manifest,
  }: { readonly id: string; readonly repository: string; readonly manifest: Manifest },
  others: readonly string[] = [],
): Promise<AnnounceOutcome> {
  const digests = new Set([...manifest.references.map(({ digest }) => digest), ...others])
  const removed = await findRemoval(ports, repository, [...digests])
  if (removed === undefined) return { outcome: 'announced', id, digest: manifest.digest }
  await ports.pendingPushes.removePendingPush(id)
  const whose = removed === manifest.digest ? '' : ', which the manifest references,'
  const message = `${removed}${whose} is being deleted from ${repository}; push it again`
  return { ...refused('MANIFEST_BLOB_UNKNOWN', message), status: 400 }
}

function refused(code: Refusal, message: string) {
  return { outcome: 'refused', code, message } as const
}
