import type { DeleteManifestPorts } from '../delete/delete-manifest.ts'
import { deleteManifest } from '../delete/delete-manifest.ts'
import type { RecordDeletionPorts } from '../delete/requested-deletion.ts'
import { recordDeletion } from '../delete/requested-deletion.ts'
import type { ManifestReference } from '../index/manifest.ts'
import { IMAGE_MANAGER } from '../service-principal.ts'
import type {
  PendingFacts,
  PendingPush,
  RecordPendingPushOptions,
  RecordPendingPushPorts,
} from './record-pending-push.ts'
import { recordAtOnce, recordInSteps } from './record-pending-push.ts'

export type RecordOrUndoPushPorts = RecordPendingPushPorts &
  DeleteManifestPorts &
  RecordDeletionPorts & {
    readonly registry: {
      hasManifest(repository: string, digest: string): Promise<boolean>
      headBlob(repository: string, digest: string): Promise<string | undefined>
    }
    readonly repositories: { isNewSince(repository: string, time: Date): Promise<boolean> }
  }

/** Number of blobs that are looked up at the same time. */
const CONCURRENCY = 8

/**
 * Records the outcome of a pending push: at once if possible, else in steps. The registry's current state decides, not
 * the client's response. Idempotent, and safe on two replicas at once. Returns the manifest's facts if the registry has
 * it.
 *
 * If the repository was deleted after the registry took the manifest, blobs that the manifest references may be deleted
 * too: then the push is undone. This check comes after the recording, so that a deletion that begins later finds the
 * manifest. A push that was recorded at once needs no check, because its repository is older than the push.
 */
export async function recordOrUndoPush(
  ports: RecordOrUndoPushPorts,
  pending: PendingPush,
  options: RecordPendingPushOptions = {},
): Promise<PendingFacts | undefined> {
  if (await recordAtOnce(ports, pending)) return pending.facts
  const manifest = await recordInSteps(ports, pending, options)
  const { repository, announcedAt } = pending
  if (manifest === undefined || !(await ports.repositories.isNewSince(repository, announcedAt)))
    return manifest
  if (await isComplete(ports.registry, repository, manifest)) return manifest
  await recordDeletion(
    ports,
    { kind: 'manifest', repository, digest: manifest.digest },
    () => deleteManifest(ports, repository, manifest.digest, { removesEmptyRepository: true }),
    ({ outcome }) => outcome === 'deleted',
    { principal: IMAGE_MANAGER, reason: 'the repository was deleted during the push' },
  )
  return undefined
}

/**
 * Whether the registry has everything that a manifest references, as it had when it took the manifest. Layers with
 * `urls` need not be in the registry. Content that the registry has but cannot serve counts: if an index gives a blob
 * the media type of a manifest, distribution responds 500 to the request for that "manifest".
 */
async function isComplete(
  registry: RecordOrUndoPushPorts['registry'],
  repository: string,
  { references }: PendingFacts,
): Promise<boolean> {
  const required = references.filter(({ isElsewhere }) => isElsewhere !== true)
  const isThere = async ({ digest, kind }: ManifestReference) =>
    kind === 'manifest'
      ? registry.hasManifest(repository, digest)
      : (await registry.headBlob(repository, digest)) !== undefined
  for (let at = 0; at < required.length; at += CONCURRENCY) {
    const found = await Promise.all(required.slice(at, at + CONCURRENCY).map(isThere))
    if (found.includes(false)) return false
  }
  return true
}
