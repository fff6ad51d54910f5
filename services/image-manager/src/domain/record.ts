import type { Admission } from '../adapters/admissions.ts'
import type { IndexChanges } from '../adapters/index-changes.ts'
import type { RegistryClient } from '../adapters/registry-client.ts'
import type { Manifest } from './manifest.ts'
import { parseManifest } from './manifest.ts'

export interface RecordPorts {
  readonly registry: Pick<RegistryClient, 'headManifest' | 'getManifest'>
  readonly index: Pick<
    IndexChanges,
    | 'putManifest'
    | 'hasManifest'
    | 'findAdmitted'
    | 'findTag'
    | 'setTag'
    | 'settleAdmission'
    | 'removeManifest'
  >
}

/** How often a tag is looked at again when others change it at the same time. */
const MAX_TRIES = 20

/**
 * Writes down what became of an admitted manifest. The registry is asked, not the client believed: what it has
 * now is what the index says. Safe to repeat, and to run on two replicas at once.
 * Answers the manifest where the registry has it.
 */
export async function recordAdmission(
  ports: RecordPorts,
  admission: Admission,
): Promise<Manifest | undefined> {
  const { registry, index } = ports
  const { id, repository, digest, tag, raw, mediaType } = admission
  const parsed = parseManifest(raw, mediaType)
  if ('malformed' in parsed) throw new Error(`an admitted manifest is malformed: ${parsed.malformed}`)
  const there = (await registry.headManifest(repository, digest)) !== undefined
  if (there) await index.putManifest(repository, parsed.manifest)
  if (tag !== null) await followTag(ports, repository, tag)
  await index.settleAdmission(id)
  return there ? parsed.manifest : undefined
}

/**
 * Brings a tag of the index to what the registry says: compare and set, until nobody came between. A tag of a
 * manifest that is kept here stays until the registry has one of that name.
 */
export async function followTag(ports: RecordPorts, repository: string, tag: string): Promise<void> {
  const { registry, index } = ports
  for (let tries = 0; tries < MAX_TRIES; tries++) {
    const { revision, kept } = await index.findTag(repository, tag)
    const digest = await registry.headManifest(repository, tag)
    if (digest === undefined && kept) return
    if (digest !== undefined && !(await knowManifest(ports, repository, digest))) continue
    if (await index.setTag(repository, tag, digest, revision)) return
  }
  throw new Error(`the tag ${tag} of ${repository} changes faster than it can be written down`)
}

/** Sees to it that the index has a manifest which the registry named. False when it went away meanwhile. */
export async function knowManifest(
  { registry, index }: RecordPorts,
  repository: string,
  digest: string,
): Promise<boolean> {
  if (await index.hasManifest(repository, digest)) return true
  // Another push, on its way to being written down; or one that came past us.
  const found =
    (await index.findAdmitted(repository, digest)) ?? (await registry.getManifest(repository, digest))
  if (found === undefined) return false
  const parsed = parseManifest(found.raw, found.mediaType)
  if ('malformed' in parsed)
    throw new Error(`the registry's manifest ${digest} is malformed: ${parsed.malformed}`)
  await index.putManifest(repository, parsed.manifest)
  return true
}
