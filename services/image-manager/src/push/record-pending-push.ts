import type { NewEvent } from '@registry-manager/events'
import type { RequestContext } from '@registry-manager/http'
import { ensureManifest } from '../index/ensure-manifest.ts'
import type { ManifestFacts } from '../index/manifest.ts'
import type { SyncTagPorts } from '../index/sync-tag.ts'
import { syncTag } from '../index/sync-tag.ts'
import { verifyManifest } from '../index/verify-manifest.ts'
import { eventsOfPush } from './push-events.ts'

/** The facts of a pending manifest without its annotations, which may be megabytes. */
export type PendingFacts = Omit<ManifestFacts, 'annotations'>

/** A push that was announced. The registry's state decides its outcome. */
export interface PendingPush {
  readonly id: string
  readonly repository: string
  readonly digest: string
  readonly tag: string | null
  readonly facts: PendingFacts
  readonly announcedAt: Date
  /** The request that announced it; null if a previous version did. */
  readonly context: RequestContext | null
  /** The digest that the tag had when the push was announced. */
  readonly replaced: string | null
  /**
   * The state that recording the push in one transaction needs. Undefined if that is impossible: the index does not
   * have the bytes of the manifest, the repository is newer than the push, or a deletion has contested the push.
   */
  readonly staged: StagedPush | undefined
}

export interface StagedPush {
  readonly repositoryId: string
  /** The revision of the tag; undefined if the tag does not exist. */
  readonly tagRevision: string | undefined
}

export type RecordPendingPushPorts = SyncTagPorts & {
  readonly pendingPushes: {
    /**
     * Records the push and its events in one transaction. False, without a change, if something has changed since it
     * was read.
     */
    recordPush(pending: PendingPush, staged: StagedPush, events: readonly NewEvent[]): Promise<boolean>
    /** Records the manifest and leaves the push pending. False if that was done before, or the bytes are gone. */
    recordManifest(pending: PendingPush): Promise<boolean>
    /** Ends a pending push, with its events, unless another call did. */
    endPendingPush(id: string, events: readonly NewEvent[]): Promise<void>
  }
}

export interface RecordPendingPushOptions {
  /** It is not known whether the registry got the push, because the process that sent it was killed. */
  readonly isAbandoned?: boolean
}

/**
 * Records a push whose tag, or else digest, names its manifest in the registry: one request and one transaction. The
 * transaction fails if anything that it depends on has changed since before the request:
 *
 * - Other writers of the index change the revision of the tag, or remove the row of the manifest or its repository.
 * - A deletion changes the registry first. It then contests the pending pushes of the repository (`removal.ts`), and
 *   reads the index last. Either it contests this push before the transaction commits, or it finds the rows of the
 *   transaction.
 *
 * Returns false if the push must be recorded in steps.
 */
export async function recordAtOnce(
  { registry, pendingPushes }: RecordPendingPushPorts,
  pending: PendingPush,
): Promise<boolean> {
  const { repository, digest, tag, staged } = pending
  if (staged === undefined) return false
  if ((await registry.headManifest(repository, tag ?? digest)) !== digest) return false
  return pendingPushes.recordPush(pending, staged, eventsOf(pending))
}

/**
 * Records a push when other processes interfere, or after a crash. Each step may be repeated. The manifest is recorded
 * first and verified afterwards. The verification finds out about earlier deletions, and later deletions find the
 * recorded manifest.
 */
export async function recordInSteps(
  ports: RecordPendingPushPorts,
  pending: PendingPush,
  { isAbandoned = false }: RecordPendingPushOptions = {},
): Promise<PendingFacts | undefined> {
  const { registry, pendingPushes } = ports
  const { id, repository, digest, tag, facts } = pending
  // A manifest that the registry does not have stays invisible.
  const exists = (await registry.headManifest(repository, digest)) !== undefined
  // If another call has recorded this push, or the bytes are gone, the manifest is recorded from the registry's bytes.
  if (exists && !(await pendingPushes.recordManifest(pending)))
    await ensureManifest(ports, repository, digest)
  const tagged = tag === null ? undefined : await syncTag(ports, repository, tag, { vouches: true })
  const isVerified = tagged === digest || (await verifyManifest(ports, repository, digest))
  const isStored = exists && isVerified
  // An abandoned push of a manifest that the registry had before may never have reached it.
  const isPushed = isStored && (!isAbandoned || tag === null || tagged === digest)
  await pendingPushes.endPendingPush(id, isPushed ? eventsOf(pending) : [])
  return isStored ? facts : undefined
}

function eventsOf({ facts, ...pending }: PendingPush): NewEvent[] {
  const { mediaType, size } = facts
  return eventsOfPush({ ...pending, mediaType, size })
}
