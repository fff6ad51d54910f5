/** Whether the counts of tags or of manifests are removed. */
export type GoneKind = 'tag' | 'manifest'

/** The key of a row of counts: a repository, and a tag or digest. */
export interface PullsKey {
  readonly repositoryId: string
  readonly name: string
}

export interface RemoveOldPullsPorts {
  readonly pulls: {
    removeBatches(before: Date): Promise<boolean>
    removeGonePulls(
      kind: GoneKind,
      before: Date,
      after: PullsKey | undefined,
      limit: number,
    ): Promise<PullsKey | undefined>
  }
  /** Milliseconds since the epoch. */
  readonly now: () => number
}

/**
 * Time for which the ids of batches are kept: registry-proxy sends a batch again while image-manager is unavailable.
 */
const BATCH_MS = 7 * 86_400_000
/**
 * Time after the last pull for which the counts of a deleted tag or manifest are kept: a restore or a push may bring it
 * back.
 */
const GONE_MS = 30 * 86_400_000
/** Number of counts that one statement reads. */
const PAGE_SIZE = 5000

/** Removes old batches, and old counts of deleted tags and manifests, in small transactions. */
export async function removeOldPulls(
  { pulls, now }: RemoveOldPullsPorts,
  signal: AbortSignal,
): Promise<void> {
  while (!signal.aborted && (await pulls.removeBatches(new Date(now() - BATCH_MS))));
  const before = new Date(now() - GONE_MS)
  for (const kind of ['tag', 'manifest'] as const) {
    let after: PullsKey | undefined
    do {
      if (signal.aborted) return
      after = await pulls.removeGonePulls(kind, before, after, PAGE_SIZE)
    } while (after !== undefined)
  }
}
