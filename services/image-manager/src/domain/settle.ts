import type { ReconcileQueries } from '../adapters/reconcile-queries.ts'
import { inPages } from './in-pages.ts'
import type { ReconcileCounts } from './reconcile-counts.ts'
import { followTag, recordAdmission } from './record.ts'
import type { RemovePorts } from './remove.ts'
import { finishDeletion } from './remove.ts'
import { UnrecordableError } from './unrecordable-error.ts'

export interface SettlePorts extends RemovePorts {
  readonly queries: ReconcileQueries
  readonly counts: ReconcileCounts
  /** Whether an error says that the registry serves, and could not serve this one thing. */
  readonly isRefusal: (error: unknown) => boolean
  /** Told what cannot be read, and why; `reference` is a tag or a digest, or empty for all of a repository. */
  readonly onUnreadable: (repository: string, reference: string, error: unknown) => void
  /** Comes between two steps; what it throws ends the work there. */
  readonly between: () => Promise<void>
}

/**
 * Settles what others left in the middle: pushes that were admitted and never written down, and deletions that
 * broke off. What the registry cannot serve is told and passed over; the next call tries it again.
 */
export async function settle(ports: SettlePorts): Promise<void> {
  const { queries, index, counts, between } = ports
  for await (const id of inPages(queries.listOldAdmissions)) {
    await between()
    await settleAdmission(ports, id)
  }
  for (;;) {
    await between()
    const taken = await index.takeDeletion()
    if (taken === undefined) return
    const fault = await tolerate(ports, taken.name, '', () => finishDeletion(ports, taken))
    if (fault === undefined) counts.deletionsFinished += 1
  }
}

async function settleAdmission(ports: SettlePorts, id: string): Promise<void> {
  const { registry, index, counts } = ports
  const admission = await index.findAdmission(id)
  if (admission === undefined) return
  const { repository, digest, tag } = admission
  const fault = await tolerate(ports, repository, tag ?? digest, async () => {
    const landed = (await registry.headManifest(repository, digest)) !== undefined
    if (landed) await recordAdmission(ports, admission)
    else if (tag !== null) await followTag(ports, repository, tag)
  })
  // What cannot be written down is not waited for. What the registry could not serve now, it may serve later.
  if (fault !== undefined && !(fault instanceof UnrecordableError)) return
  await index.settleAdmission(id)
  counts.admissionsSettled += 1
}

/** Does one thing. What is wrong with that thing alone is counted, told and answered; anything else is thrown. */
export async function tolerate(
  { counts, isRefusal, onUnreadable }: Pick<SettlePorts, 'counts' | 'isRefusal' | 'onUnreadable'>,
  repository: string,
  reference: string,
  work: () => Promise<unknown>,
): Promise<unknown> {
  try {
    await work()
    return undefined
  } catch (error) {
    if (!(error instanceof UnrecordableError) && !isRefusal(error)) throw error
    counts.unreadable += 1
    onUnreadable(repository, reference, error)
    return error
  }
}
