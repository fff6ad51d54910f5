import type { PendingPush, PendingFacts } from './pending-pushes-repository.ts'
import type { IndexChanges } from '../index/index-changes.ts'
import type { RegistryClient } from '@registry-manager/registry-client'
import { verifyManifest } from '../index/verify-manifest.ts'
import { parseManifest } from '../index/manifest.ts'
import { UnrecordableError } from './unrecordable-error.ts'

export interface RecordPorts {
  readonly registry: Pick<RegistryClient, 'headManifest' | 'getManifest'>
  readonly index: Pick<
    IndexChanges,
    | 'putManifest'
    | 'putPending'
    | 'readPendingBytes'
    | 'hasManifest'
    | 'findPending'
    | 'findTag'
    | 'setTag'
    | 'removePendingPush'
    | 'manifestRevision'
    | 'removeManifest'
  >
}

/** How often a tag is looked at again when others change it at the same time. */
const MAX_TRIES = 20

/**
 * Records what became of an admitted manifest. The registry is asked, not the client believed: what it has
 * now is what the index says. Safe to repeat, and to run on two replicas at once.
 * Answers the manifest where the registry has it.
 */
export async function recordPendingPush(
  ports: RecordPorts,
  admission: PendingPush,
): Promise<PendingFacts | undefined> {
  const { index } = ports
  const { id, repository, digest, tag } = admission
  // First recorded, then looked for: a deletion before the look shows in it, one after it finds what to take away.
  const facts = admission.facts === undefined ? await recordBytes(index, admission) : admission.facts
  const isRecorded =
    admission.facts === undefined ? facts !== undefined : await index.putPending(repository, id)
  // Another call recorded it, and settled the admission.
  if (!isRecorded) await ensureManifest(ports, repository, digest)
  const named = tag === null ? undefined : await syncTag(ports, repository, tag, true)
  const there = named === digest || (await verifyManifest(ports, repository, digest))
  await index.removePendingPush(id)
  return there ? facts : undefined
}

/** Records an admission of the previous version, which did not keep what it read. Undefined where it was settled. */
async function recordBytes(
  index: RecordPorts['index'],
  { id, repository, mediaType }: PendingPush,
): Promise<PendingFacts | undefined> {
  const raw = await index.readPendingBytes(id)
  if (raw === undefined) return undefined
  const parsed = parseManifest(raw, mediaType)
  if ('malformed' in parsed)
    throw new UnrecordableError(`an admitted manifest is malformed: ${parsed.malformed}`)
  await index.putManifest(repository, parsed.manifest)
  return parsed.manifest
}

/**
 * Brings a tag of the index to what the registry says: compare and set, until nobody came between. Answers the
 * digest that the registry says. Whoever pushed it vouches for it: it is written down even where it is what was
 * there, so that somebody who looked before the push takes nothing away after it. A tag of a manifest that is kept
 * here stays until the registry has one of that name.
 */
export async function syncTag(
  ports: RecordPorts,
  repository: string,
  tag: string,
  vouches = false,
): Promise<string | undefined> {
  const { registry, index } = ports
  const learned = new Set<string>()
  for (let tries = 0; tries < MAX_TRIES; tries++) {
    const known = await index.findTag(repository, tag)
    const digest = await registry.headManifest(repository, tag)
    const isOurs = digest === undefined && known.kept
    if (!isOurs && (digest !== known.digest || (vouches && digest !== undefined))) {
      const isNew = digest !== undefined && !(await index.hasManifest(repository, digest))
      if (isNew && !(await ensureManifest(ports, repository, digest))) continue
      if (isNew) learned.add(digest)
      const isSet = await index.setTag(repository, tag, digest, known.revision)
      // Whoever deletes what was here before the look takes it away, or changes its revision. What was not here
      // they did not find, so it is looked at again.
      if (!isSet || isNew || known.revision === 0) continue
    }
    for (const other of learned) if (other !== digest) await verifyManifest(ports, repository, other)
    return digest
  }
  throw new UnrecordableError(`the tag ${tag} of ${repository} changes faster than it can be written down`)
}

/** Sees to it that the index has a manifest which the registry named. False when it went away meanwhile. */
export async function ensureManifest(
  { registry, index }: RecordPorts,
  repository: string,
  digest: string,
): Promise<boolean> {
  if (await index.hasManifest(repository, digest)) return true
  // Another push, on its way to being written down; or one that came past us.
  const found =
    (await index.findPending(repository, digest)) ?? (await registry.getManifest(repository, digest))
  if (found === undefined) return false
  const parsed = parseManifest(found.raw, found.mediaType)
  if ('malformed' in parsed)
    throw new UnrecordableError(`the registry's manifest ${digest} is malformed: ${parsed.malformed}`)
  // Schema 1: its digest is not that of its bytes. Source: distribution, "Image Manifest Version 2, Schema 1".
  if (parsed.manifest.digest !== digest)
    throw new UnrecordableError(`the registry's manifest ${digest} has another digest than its name`)
  await index.putManifest(repository, parsed.manifest)
  return true
}
