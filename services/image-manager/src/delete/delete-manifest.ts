import { ServiceCallError } from '@registry-manager/http'
import type { RegistryClient } from '@registry-manager/registry-client'
import { verifyManifest } from '../index/verify-manifest.ts'
import type { SyncTagPorts } from '../index/sync-tag.ts'
import { syncTag } from '../index/sync-tag.ts'
import { UnrecordableError, ensureManifest } from '../index/ensure-manifest.ts'
import type { FindProtectedPorts } from '../immutability/find-protected.ts'
import { findProtected } from '../immutability/find-protected.ts'
import type { ProtectedTag } from '../immutability/tag-rule.ts'
import type { DeleteOrphansPorts } from './delete-orphans.ts'
import { deleteOrphans } from './delete-orphans.ts'
import type { ContestPushesPorts } from './removal.ts'
import { withRemoval } from './removal.ts'

/** An image index that references a manifest, and one of the image index's tags. */
export interface ParentImageIndex {
  readonly digest: string
  readonly tag: string | null
}

export interface DeleteManifestPorts
  extends SyncTagPorts, DeleteOrphansPorts, Pick<FindProtectedPorts, 'tagRules'> {
  readonly registry: SyncTagPorts['registry'] &
    DeleteOrphansPorts['registry'] &
    Pick<RegistryClient, 'deleteManifest'>
  readonly manifests: SyncTagPorts['manifests'] & {
    resolveDigest(
      repository: string,
      digest: string,
    ): Promise<{ digest: string; sha512: string; indexOnly: boolean } | undefined>
  }
  readonly pendingPushes: ContestPushesPorts['pendingPushes']
  readonly tags: SyncTagPorts['tags'] & {
    listTagsOf(repository: string, digest: string): Promise<string[]>
  }
  readonly references: DeleteOrphansPorts['references'] &
    FindProtectedPorts['references'] & {
      listReferences(repository: string, digest: string): Promise<string[]>
      findParentImageIndex(
        repository: string,
        names: readonly string[],
        ignoredTags: string,
      ): Promise<ParentImageIndex | undefined>
    }
}

export interface DeleteManifestOptions {
  /** Refuses the deletion if an image index of the repository references the manifest: its pull would fail. */
  readonly unlessInUse?: boolean
  /** Refuses the deletion if an immutable tag needs the manifest. */
  readonly unlessProtected?: boolean
  /**
   * Removes the repository from the index, too, if this was its last manifest: for a push that is undone, and for a
   * tombstone.
   */
  readonly removesEmptyRepository?: boolean
  /** Runs with the sha256 when it is certain that the manifest may be deleted, before that happens. */
  readonly beforeDeletion?: (digest: string) => Promise<void>
  /** Runs when the registry has deleted the manifest, before the index removes it with its tags. */
  readonly beforeRemoval?: () => Promise<void>
}

export type DeletionResult =
  | { readonly outcome: 'deleted' | 'unknown' }
  /** An immutable tag needs the content, so nothing was deleted. */
  | { readonly outcome: 'protected'; readonly by: ProtectedTag }

export type DeleteManifestResult =
  | DeletionResult
  /** An image index references the manifest. Nothing was deleted. */
  | { readonly outcome: 'in-use'; readonly by: ParentImageIndex }

/**
 * A tag of the Referrers Tag Schema, as a POSIX regular expression: the digest of the subject, with `-` for `:`.
 * Clients update an image index with such a tag after they delete a referrer, so it does not count as a user of the
 * manifest. Source: OCI distribution-spec 1.1, "Deleting Manifests" and "Referrers Tag Schema".
 */
export const REFERRERS_TAG = '^sha(256|512)-[0-9a-f]{64}$'

/**
 * Deletes a manifest by its sha512 or sha256 digest, together with its tags. Then deletes the blobs that it references
 * and that no other manifest of the repository references.
 */
export async function deleteManifest(
  ports: DeleteManifestPorts,
  repository: string,
  requested: string,
  {
    unlessInUse = false,
    unlessProtected = false,
    removesEmptyRepository = false,
    beforeDeletion,
    beforeRemoval,
  }: DeleteManifestOptions = {},
): Promise<DeleteManifestResult> {
  const { registry, references, tags, pendingPushes } = ports
  const indexed = await resolveManifest(ports, repository, requested)
  const digest = indexed?.digest ?? requested
  // The registry finds no manifest by its sha512.
  if (digest.startsWith('sha512:')) return { outcome: 'unknown' }
  const names = indexed === undefined ? [digest] : [digest, indexed.sha512]
  const referenced = await references.listReferences(repository, digest)

  const deleteUnchecked = async (): Promise<DeleteManifestResult> => {
    await beforeDeletion?.(digest)
    const existed = (await registry.deleteManifest(repository, digest)) || indexed?.indexOnly === true
    await pendingPushes.contestPushes(repository)
    await beforeRemoval?.()
    await verifyManifest(ports, repository, digest, removesEmptyRepository ? 'undone' : 'deleted')
    return { outcome: existed ? 'deleted' : 'unknown' }
  }
  const deleteChecked = async (): Promise<DeleteManifestResult> => {
    const tag = unlessProtected ? await findProtected(ports, repository, names) : undefined
    if (tag !== undefined) return { outcome: 'protected', by: tag }
    const imageIndex = unlessInUse
      ? await references.findParentImageIndex(repository, names, REFERRERS_TAG)
      : undefined
    return imageIndex === undefined ? deleteUnchecked() : { outcome: 'in-use', by: imageIndex }
  }
  const isChecked = unlessInUse || unlessProtected
  const result = await (isChecked ? withRemoval(ports, repository, names, deleteChecked) : deleteUnchecked())
  if (result.outcome === 'in-use' || result.outcome === 'protected') return result

  // If a concurrent push kept the manifest in the index, its earlier tags are still listed although the registry
  // deleted them: sync each.
  for (const tag of await tags.listTagsOf(repository, digest)) await syncTag(ports, repository, tag)
  await deleteOrphans(ports, repository, referenced)
  return result
}

/** Finds a manifest in the index. Records it first if only the registry has it, so that its references are known. */
async function resolveManifest(ports: DeleteManifestPorts, repository: string, digest: string) {
  const indexed = await ports.manifests.resolveDigest(repository, digest)
  if (indexed !== undefined || digest.startsWith('sha512:')) return indexed
  try {
    if (!(await ensureManifest(ports, repository, digest))) return undefined
  } catch (error) {
    // A manifest that cannot be read or recorded can be deleted nevertheless. distribution responds 500 to a GET of a
    // manifest that it cannot parse.
    const isUnreadable = error instanceof ServiceCallError && error.status === 500
    if (!isUnreadable && !(error instanceof UnrecordableError)) throw error
  }
  return ports.manifests.resolveDigest(repository, digest)
}
