import type { Manifest, ManifestFacts } from './manifest.ts'
import { isIndex } from './manifest.ts'
import { knowManifest } from './record.ts'
import type { RemovePorts } from './remove.ts'
import { UnrecordableError } from './unrecordable-error.ts'
import { dropStandIn, freeTag } from './free-tag.ts'

/** How often a tag is taken again when others take it at the same time. */
const MAX_TRIES = 20

/**
 * Whether the registry cannot take a manifest: distribution knows no manifest by its sha512, and refuses an index
 * that names one so. Tried on 2.8.2 and 3.1.1.
 */
export function mustBeKept({ mediaType, references }: ManifestFacts): boolean {
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
export async function keepManifest(
  ports: RemovePorts,
  repository: string,
  manifest: Manifest,
  tag: string | undefined,
): Promise<string | undefined> {
  const { index, registry } = ports
  const named = manifest.references.filter(({ kind }) => kind === 'manifest').map(({ digest }) => digest)
  const known = await index.filterManifests(repository, named)
  for (const digest of named) {
    // The registry knows no manifest by its sha512; one by its sha256 may have been pushed past us.
    if (known.has(digest)) continue
    if (digest.startsWith('sha512:') || !(await knowManifest(ports, repository, digest))) return digest
  }
  await index.putManifest(repository, manifest, true)
  if (tag === undefined) return undefined
  for (let tries = 0; tries < MAX_TRIES; tries++) {
    const { revision } = await index.findTag(repository, tag)
    const standIn = await freeTag(registry, repository, tag)
    const isSet = await index.setTag(repository, tag, manifest.digest, revision)
    if (standIn !== undefined) await dropStandIn(ports, repository, standIn)
    if (isSet) return undefined
  }
  throw new UnrecordableError(`the tag ${tag} of ${repository} changes faster than it can be written down`)
}
