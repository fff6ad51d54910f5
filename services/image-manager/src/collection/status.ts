export interface CollectionOptions {
  /** Seconds between two reviews; 0 disables the collection. */
  readonly intervalSeconds: number
  /** The grace period: the time for which data stays after its last reference was deleted, in seconds. */
  readonly graceSeconds: number
  /** Whether unknown blobs are only reported, or removed. */
  readonly unknown: 'report' | 'remove'
}

/** A number of blobs and the bytes of their data. */
export interface Amount {
  readonly blobs: number
  readonly bytes: number
}

/** The state of the collection in the database. */
export interface StoredStatus {
  readonly paused: boolean
  readonly blobsPerSecond: number | null
  readonly isReconciled: boolean
  readonly reviewedAt: Date | null
  /** Numbers of blobs: within the grace period, condemned, and claimed by a storage worker. */
  readonly waiting: number
  readonly condemned: number
  readonly removing: number
  /** When the last reference to the oldest condemned blob was deleted. */
  readonly oldestCondemned: Date | null
  readonly removed: Amount & { readonly failures: number; readonly lastAt: Date | null }
  /** Removals that failed, at most 10. */
  readonly failing: readonly { readonly digest: string; readonly reason: string; readonly failures: number }[]
  /** Uploads by a sha512 whose sha256 is not known. While there are any, nothing is removed. */
  readonly unresolvedUploads: number
  readonly listing: ListingTotals | null
}

/** The last complete listing of the storage. `condemned` includes waiting blobs and claimed blobs. */
export interface ListingTotals {
  readonly beganAt: Date
  readonly endedAt: Date
  readonly stored: Amount
  readonly known: Amount
  readonly condemned: Amount
  readonly recent: Amount
  readonly unknown: Amount
  readonly uploads: { readonly count: number; readonly bytes: number }
}

export const STATES = ['running', 'paused', 'off', 'waiting-for-reconcile'] as const
export type CollectionState = (typeof STATES)[number]

/** The present state of the collection. */
export function stateOf(
  { paused, isReconciled }: Pick<StoredStatus, 'paused' | 'isReconciled'>,
  { intervalSeconds }: Pick<CollectionOptions, 'intervalSeconds'>,
): CollectionState {
  if (intervalSeconds === 0) return 'off'
  if (paused) return 'paused'
  return isReconciled ? 'running' : 'waiting-for-reconcile'
}

/** The part of the status that shows whether the collection makes progress. */
export interface CollectionProgress extends Pick<
  StoredStatus,
  'paused' | 'isReconciled' | 'oldestCondemned'
> {
  readonly lastRemovedAt: Date | null
}

/** The collection is stuck if it has removed nothing for this long although blobs are condemned, in seconds. */
const STUCK_SECONDS = 3600

/**
 * The reason why the collection makes no progress; undefined if it makes progress, has nothing to remove, or does not
 * run.
 */
export function describeStuck(
  progress: CollectionProgress,
  options: Pick<CollectionOptions, 'intervalSeconds' | 'graceSeconds'>,
  now: number,
): string | undefined {
  const { oldestCondemned, lastRemovedAt } = progress
  if (stateOf(progress, options) !== 'running' || oldestCondemned === null) return undefined
  const isOlder = (time: Date | null, seconds: number) => now - (time?.getTime() ?? 0) > seconds * 1000
  if (!isOlder(oldestCondemned, options.graceSeconds + STUCK_SECONDS)) return undefined
  if (!isOlder(lastRemovedAt, STUCK_SECONDS)) return undefined
  return 'no data was removed from the storage for an hour, although some is condemned: check the storage worker'
}
