import type { NewEvent } from '@registry-manager/events'
import type { FindRemovalPorts } from '../delete/removal.ts'
import { findRemoval } from '../delete/removal.ts'
import type { DeleteUpstreamTagPorts, DropTombstonePorts } from '../delete/tombstone.ts'
import { deleteUpstreamTag, dropTombstone } from '../delete/tombstone.ts'
import type { EnsureManifestPorts } from '../index/ensure-manifest.ts'
import { UnrecordableError, ensureManifest } from '../index/ensure-manifest.ts'
import type { Manifest, ManifestFacts } from '../index/manifest.ts'
import { isImageIndex } from '../index/manifest.ts'
import { IMAGE_MANAGER } from '../service-principal.ts'
import { eventsOfPush } from './push-events.ts'

export type StoreIndexOnlyPorts = EnsureManifestPorts &
  FindRemovalPorts &
  DeleteUpstreamTagPorts &
  DropTombstonePorts & {
    readonly manifests: {
      putManifest(
        repository: string,
        manifest: Manifest,
        options: { indexOnly: boolean; events?: readonly NewEvent[] },
      ): Promise<unknown>
      filterManifests(repository: string, digests: readonly string[]): Promise<ReadonlySet<string>>
      removeManifest(
        repository: string,
        digest: string,
        revision: string,
        effects: object,
        events: readonly NewEvent[],
      ): Promise<boolean>
    }
    readonly tags: {
      findTag(
        repository: string,
        tag: string,
      ): Promise<{ readonly digest: string | undefined; readonly revision: string | undefined }>
      setTag(
        repository: string,
        tag: string,
        digest: string,
        revision: string | undefined,
        events: readonly NewEvent[],
      ): Promise<boolean>
    }
  }

/** Maximum number of tries to set a tag that other processes change at the same time. */
const MAX_TRIES = 20

/**
 * Whether the registry cannot store a manifest: distribution finds no manifest by a sha512 digest, and refuses an image
 * index that references its manifests by sha512. Tested with 2.8.2 and 3.1.1.
 */
export function isIndexOnly({ mediaType, references }: ManifestFacts): boolean {
  return (
    isImageIndex(mediaType) &&
    references.some(({ kind, digest }) => kind === 'manifest' && digest.startsWith('sha512:'))
  )
}

/**
 * Stores a manifest in the index only. Deletes the registry's tag of that name, because a tag of the registry has
 * precedence over a tag of an index-only manifest: the later push of either kind must win. Returns the digest of a
 * manifest that the image index references and that does not exist; then nothing was stored.
 */
export async function storeIndexOnly(
  ports: StoreIndexOnlyPorts,
  repository: string,
  manifest: Manifest,
  tag: string | undefined,
): Promise<string | undefined> {
  const { manifests, tags } = ports
  const missing = await findMissing(ports, repository, manifest)
  if (missing !== undefined) return missing
  const { digest, mediaType, raw } = manifest
  const pushed = { repository, digest, mediaType, size: raw.length, tag: tag ?? null }
  const existed = await manifests.hasManifest(repository, digest)
  // A new manifest can be pulled from here on. If it existed, only the tag changes.
  const events = existed && tag !== undefined ? [] : eventsOfPush(pushed)
  await manifests.putManifest(repository, manifest, { indexOnly: true, events })
  // Checked again after the image index is recorded: a deletion of a child lists its removal before it looks for image
  // indexes.
  const removed = await findMissing(ports, repository, manifest)
  if (removed !== undefined && !existed) {
    const revision = await manifests.findRevision(repository, digest)
    const undone = [undoneEvent(repository, digest)]
    if (revision !== undefined) await manifests.removeManifest(repository, digest, revision, {}, undone)
    return removed
  }
  if (tag === undefined) return undefined
  for (let tries = 0; tries < MAX_TRIES; tries++) {
    const { digest: replaced, revision } = await tags.findTag(repository, tag)
    const tombstone = await deleteUpstreamTag(ports, repository, tag)
    const [push, ...moves] = eventsOfPush({ ...pushed, replaced })
    const isSet = await tags.setTag(repository, tag, digest, revision, existed ? [push, ...moves] : moves)
    if (tombstone !== undefined) await dropTombstone(ports, repository, tombstone)
    if (isSet) return undefined
  }
  throw new UnrecordableError(
    `the tag ${tag} of ${repository} changed during each of ${MAX_TRIES} tries to set it`,
  )
}

/** The event of a manifest that was recorded and is removed again, because one that it references was deleted. */
function undoneEvent(repository: string, digest: string): NewEvent {
  return {
    action: 'manifest.delete',
    principal: IMAGE_MANAGER,
    target: { kind: 'manifest', repository, digest },
    detail: { reason: 'a manifest that it references was deleted during the push' },
  }
}

/** The digest of a manifest that an image index references and that does not exist or is being deleted. */
async function findMissing(
  ports: StoreIndexOnlyPorts,
  repository: string,
  { references }: Manifest,
): Promise<string | undefined> {
  const children = references.filter(({ kind }) => kind === 'manifest').map(({ digest }) => digest)
  const removed = await findRemoval(ports, repository, children)
  if (removed !== undefined) return removed
  const known = await ports.manifests.filterManifests(repository, children)
  for (const digest of children) {
    // The registry knows no manifest by its sha512. One by its sha256 may have been pushed directly to the registry.
    if (known.has(digest)) continue
    if (digest.startsWith('sha512:') || !(await ensureManifest(ports, repository, digest))) return digest
  }
  return undefined
}
