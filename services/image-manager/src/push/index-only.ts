import type { FindRemovalPorts } from '../delete/removal.ts'
import { findRemoval } from '../delete/removal.ts'
import type { DeleteUpstreamTagPorts, DropTombstonePorts } from '../delete/tombstone.ts'
import { deleteUpstreamTag, dropTombstone } from '../delete/tombstone.ts'
import type { EnsureManifestPorts } from '../index/ensure-manifest.ts'
import { UnrecordableError, ensureManifest } from '../index/ensure-manifest.ts'
import type { Manifest, ManifestFacts } from '../index/manifest.ts'
import { isImageIndex } from '../index/manifest.ts'

export type StoreIndexOnlyPorts = EnsureManifestPorts &
  FindRemovalPorts &
  DeleteUpstreamTagPorts &
  DropTombstonePorts & {
    readonly manifests: {
      putManifest(repository: string, manifest: Manifest, options: { indexOnly: boolean }): Promise<unknown>
      filterManifests(repository: string, digests: readonly string[]): Promise<ReadonlySet<string>>
      removeManifest(repository: string, digest: string, revision: number): Promise<boolean>
    }
    readonly tags: {
      findTag(repository: string, tag: string): Promise<{ readonly revision: number }>
      setTag(repository: string, tag: string, digest: string, revision: number): Promise<boolean>
    }
  }

/** How often a tag is set again when other processes change it at the same time. */
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
  const existed = await manifests.hasManifest(repository, manifest.digest)
  await manifests.putManifest(repository, manifest, { indexOnly: true })
  // Checked again after the recording: a deletion of a child first announces itself, then looks for an image index.
  const removed = await findMissing(ports, repository, manifest)
  if (removed !== undefined && !existed) {
    const revision = await manifests.findRevision(repository, manifest.digest)
    if (revision !== undefined) await manifests.removeManifest(repository, manifest.digest, revision)
    return removed
  }
  if (tag === undefined) return undefined
  for (let tries = 0; tries < MAX_TRIES; tries++) {
    const { revision } = await tags.findTag(repository, tag)
    const tombstone = await deleteUpstreamTag(ports, repository, tag)
    const isSet = await tags.setTag(repository, tag, manifest.digest, revision)
    if (tombstone !== undefined) await dropTombstone(ports, repository, tombstone)
    if (isSet) return undefined
  }
  throw new UnrecordableError(
    `the tag ${tag} of ${repository} changed during each of ${MAX_TRIES} tries to set it`,
  )
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
