import type { Manifest, ManifestFacts } from '../index/manifest.ts'
import { isIndex } from '../index/manifest.ts'
import { ensureManifest } from './record.ts'
import type { RemovePorts } from '../delete/delete.ts'
import { UnrecordableError } from './unrecordable-error.ts'
import { dropTombstone, deleteUpstreamTag } from '../delete/delete-upstream-tag.ts'

/** How often a tag is taken again when others take it at the same time. */
const MAX_TRIES = 20

/**
 * Whether the registry cannot take a manifest: distribution knows no manifest by its sha512, and refuses an index
 * that names one so. Tried on 2.8.2 and 3.1.1.
 */
export function isIndexOnly({ mediaType, references }: ManifestFacts): boolean {
  return (
    isIndex(mediaType) &&
    references.some(({ kind, digest }) => kind === 'manifest' && digest.startsWith('sha512:'))
  )
}

/**
 * Pushes a manifest into the index alone. The registry loses the tag, where it has it: what the registry has goes
 * before what is kept, so the later push of either kind wins. Answers the digest of a manifest that the index names
 * and that is not there; then nothing was done.
 */
export async function storeIndexOnly(
  ports: RemovePorts,
  repository: string,
  manifest: Manifest,
  tag: string | undefined,
): Promise<string | undefined> {
  const { index, registry } = ports
  const missing = await findMissing(ports, repository, manifest)
  if (missing !== undefined) return missing
  const wasThere = await index.hasManifest(repository, manifest.digest)
  await index.putManifest(repository, manifest, true)
  // Looked for again once it is recorded: a deletion of what it names first says so, then looks for the index.
  const removed = await findMissing(ports, repository, manifest)
  if (removed !== undefined && !wasThere) {
    const revision = await index.manifestRevision(repository, manifest.digest)
    if (revision !== undefined) await index.removeManifest(repository, manifest.digest, revision)
    return removed
  }
  if (tag === undefined) return undefined
  for (let tries = 0; tries < MAX_TRIES; tries++) {
    const { revision } = await index.findTag(repository, tag)
    const tombstone = await deleteUpstreamTag(registry, repository, tag)
    const isSet = await index.setTag(repository, tag, manifest.digest, revision)
    if (tombstone !== undefined) await dropTombstone(ports, repository, tombstone)
    if (isSet) return undefined
  }
  throw new UnrecordableError(`the tag ${tag} of ${repository} changes faster than it can be written down`)
}

/** One of the manifests that an index names and that is not there, or is being deleted. */
async function findMissing(
  ports: RemovePorts,
  repository: string,
  { references }: Manifest,
): Promise<string | undefined> {
  const children = references.filter(({ kind }) => kind === 'manifest').map(({ digest }) => digest)
  const removed = await ports.index.findRemoval(repository, children)
  if (removed !== undefined) return removed
  const known = await ports.index.filterManifests(repository, children)
  for (const digest of children) {
    // The registry knows no manifest by its sha512; one by its sha256 may have been pushed past us.
    if (known.has(digest)) continue
    if (digest.startsWith('sha512:') || !(await ensureManifest(ports, repository, digest))) return digest
  }
  return undefined
}
