import type { NewEvent } from '@registry-manager/events'
import type { RequestContext } from '@registry-manager/http'
import { UnrecordableError, ensureManifest } from '../index/ensure-manifest.ts'
import type { ManifestFacts } from '../index/manifest.ts'
import { parseManifest } from '../index/manifest.ts'
import type { SyncTagPorts } from '../index/sync-tag.ts'
import { syncTag } from '../index/sync-tag.ts'
import { verifyManifest } from '../index/verify-manifest.ts'
import { eventsOfPush } from './push-events.ts'

/** The facts of a pending manifest without its annotations, which may be megabytes. */
export type PendingFacts = Omit<ManifestFacts, 'annotations'>

/** A manifest that was announced. The registry's state tells its outcome. */
export interface PendingPush {
  readonly id: string
  readonly repository: string
  readonly digest: string
  readonly tag: string | null
  readonly mediaType: string
  /** Undefined if a previous version announced it. */
  readonly facts: PendingFacts | undefined
  readonly announcedAt: Date
  /** The request that announced it; null if a previous version did. */
  readonly context: RequestContext | null
  /** The digest that the tag had when the push was announced. */
  readonly replaced: string | null
  /** Bytes of the manifest. */
  readonly size: number
}

export type RecordPendingPushPorts = SyncTagPorts & {
  readonly pendingPushes: {
    /** Records the manifest in one transaction; false if another call did. */
    recordManifest(repository: string, id: string): Promise<boolean>
    readBytes(id: string): Promise<Buffer | undefined>
    removePendingPush(id: string): Promise<void>
    /** Ends a pending push, with its events, unless another call did. */
    endPendingPush(id: string, events: readonly NewEvent[]): Promise<void>
  }
}

export interface RecordPendingPushOptions {
  /** Nobody knows whether the registry got the push: its process was killed. */
  readonly isAbandoned?: boolean
}

/**
 * Records the outcome of a pending push. The registry's current state decides, not the client's response. Idempotent,
 * and safe on two replicas at once. Returns the manifest's facts if the registry has it.
 */
export async function recordPendingPush(
  ports: RecordPendingPushPorts,
  pending: PendingPush,
  { isAbandoned = false }: RecordPendingPushOptions = {},
): Promise<PendingFacts | undefined> {
  const { pendingPushes } = ports
  const { id, repository, digest, tag } = pending
  // Recorded first, verified later. The verification notices a deletion that ran before it; a deletion that runs later
  // finds the recorded manifest.
  const facts = pending.facts ?? (await recordBytes(ports, pending))
  const isRecorded =
    pending.facts === undefined ? facts !== undefined : await pendingPushes.recordManifest(repository, id)
  // Another call has recorded this push and removed it from the pending ones.
  if (!isRecorded) await ensureManifest(ports, repository, digest)
  const tagged = tag === null ? undefined : await syncTag(ports, repository, tag, true)
  const isStored = tagged === digest || (await verifyManifest(ports, repository, digest))
  // An abandoned push of a manifest that the registry had before may never have reached it.
  const isPushed = isStored && (!isAbandoned || tag === null || tagged === digest)
  await pendingPushes.endPendingPush(id, isPushed ? eventsOfPush(pending) : [])
  return isStored ? facts : undefined
}

/** Records a push that a previous version announced without facts. Undefined if another call has recorded it. */
async function recordBytes(
  { manifests, pendingPushes }: RecordPendingPushPorts,
  { id, repository, mediaType }: PendingPush,
): Promise<PendingFacts | undefined> {
  const raw = await pendingPushes.readBytes(id)
  if (raw === undefined) return undefined
  const parsed = parseManifest(raw, mediaType)
  if ('malformed' in parsed)
    throw new UnrecordableError(`the manifest of pending push ${id} is malformed: ${parsed.malformed}`)
  await manifests.putManifest(repository, parsed.manifest)
  return parsed.manifest
}
