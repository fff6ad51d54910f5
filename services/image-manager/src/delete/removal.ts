import { randomUUID } from 'node:crypto'

export interface RemovalPorts {
  readonly removals: {
    beginRemoval(
      id: string,
      repository: string,
      digests: readonly string[],
      maxSeconds: number,
    ): Promise<void>
    endRemoval(id: string, repository: string): Promise<void>
  }
}

export interface FindRemovalPorts {
  readonly removals: {
    findRemoval(
      repository: string,
      digests: readonly string[],
      maxSeconds: number,
    ): Promise<string | undefined>
  }
}

/**
 * A deletion calls this after it has changed the registry and before it reads the index. A push asks the registry once,
 * and then records the response in one transaction (`record-pending-push.ts`). If the deletion contests the push before
 * this transaction commits, the transaction fails, and the push asks the registry again. If the transaction committed
 * earlier, the deletion finds its rows. This call also raises the number of deletions. Reconcile reads this number
 * after it has committed the adopted rows, and verifies the adopted rows if the number has changed (`adopt-tag.ts`).
 */
export interface ContestPushesPorts {
  readonly pendingPushes: { contestPushes(repository: string): Promise<void> }
}

/** The longest time that a removal takes, in seconds. An older row belongs to a process that was killed. */
const MAX_REMOVAL_SECONDS = 180

/**
 * Runs `work` while the index lists some digests as being removed.
 *
 * A deletion and a push that references the same content may run at the same time. The deletion lists its digests
 * first, and then looks for manifests that reference them. The push records its manifest first, and then looks for
 * removals of the digests that the manifest references (`findRemoval`). At least one of the two sees the other, so no
 * manifest is recorded whose content is gone.
 */
export async function withRemoval<Result>(
  { removals }: RemovalPorts,
  repository: string,
  digests: readonly string[],
  work: () => Promise<Result>,
): Promise<Result> {
  const id = randomUUID()
  await removals.beginRemoval(id, repository, digests, MAX_REMOVAL_SECONDS)
  try {
    return await work()
  } finally {
    await removals.endRemoval(id, repository)
  }
}

/** One of the given digests that a deletion removes from the registry at this moment; undefined for none. */
export async function findRemoval(
  { removals }: FindRemovalPorts,
  repository: string,
  digests: readonly string[],
): Promise<string | undefined> {
  return removals.findRemoval(repository, digests, MAX_REMOVAL_SECONDS)
}
