import type { ReconcileQueries } from './reconcile-queries.ts'
import type { FailureKind, WorkItem } from './background-failures.ts'
import { inPages } from './paginate.ts'
import { UnrecordableError } from '../index/ensure-manifest.ts'
import { syncTag } from '../index/sync-tag.ts'
import { recordPendingPush } from '../push/record-pending-push.ts'
import type { RemovePorts } from '../delete/remove-ports.ts'
import { finishDeletion } from '../delete/delete.ts'
import type { WorkItemPorts } from './work-item.ts'
import { attempt } from './work-item.ts'

export type RecoverPorts = RemovePorts &
  WorkItemPorts & {
    readonly queries: ReconcileQueries
    /** Whether an error says that the registry serves, and could not serve this one thing. */
    readonly isRefusal: (error: unknown) => boolean
    /** Whether what failed before is tried although its time has not come. */
    readonly retriesAll: boolean
    /** Comes between two steps; what it throws ends the work there. */
    readonly between: () => Promise<void>
  }

/**
 * Settles what others left in the middle: pushes that were admitted and never recorded, deletions that were
 * interrupted, and manifests whose sizes are not known. An item that fails is passed over and tried again later.
 */
export async function recover(ports: RecoverPorts): Promise<void> {
  for (const [kind, work] of WORKS) {
    const item = { kind, item: 'all of them', repository: '', reference: '' }
    await attempt(ports, item, () => work(ports))
  }
}

/** Where one of these cannot even be listed, the others are done. */
const WORKS: readonly (readonly [kind: FailureKind, work: (ports: RecoverPorts) => Promise<void>])[] = [
  ['push', settleAdmissions],
  ['deletion', finishDeletions],
  ['manifest', fillAllSizes],
]

async function settleAdmissions(ports: RecoverPorts): Promise<void> {
  for await (const id of inPages(ports.queries.listOldAdmissions)) {
    await ports.between()
    await removePendingPush(ports, id)
  }
}

async function finishDeletions(ports: RecoverPorts): Promise<void> {
  const { deletions, counts, between, failures } = ports
  for (;;) {
    await between()
    const taken = await deletions.takeDeletion()
    if (taken === undefined) return
    const item = { kind: 'deletion', item: taken.id, repository: taken.name, reference: '' } as const
    const fault = await attempt(ports, item, () => finishDeletion(ports, taken))
    if (fault !== undefined) continue
    await failures.forgetFailure(item)
    counts.deletionsFinished += 1
  }
}

/** A page at a time; where a page fails, one manifest at a time, and one that fails alone is left without sizes. */
async function fillAllSizes(ports: RecoverPorts): Promise<void> {
  const { manifestSizes, between, endsWork } = ports
  for (let [more, isAlone] = [true, false]; more;) {
    await between()
    try {
      more = await manifestSizes.fillSizes(isAlone ? 1 : undefined)
      isAlone = false
    } catch (error) {
      if (endsWork(error)) throw error
      const skipped = isAlone ? await manifestSizes.skipSizes() : undefined
      isAlone = !isAlone
      if (skipped === undefined) continue
      const item = {
        kind: 'manifest',
        item: `${skipped.repository} ${skipped.reference}`,
        ...skipped,
      } as const
      await attempt(ports, item, () => Promise.reject(error as Error))
    }
  }
}

async function removePendingPush(ports: RecoverPorts, id: string): Promise<void> {
  const { registry, pendingPushes, counts } = ports
  const admission = await pendingPushes.findPendingPush(id)
  if (admission === undefined) return
  const { repository, digest, tag } = admission
  const item: WorkItem = { kind: 'push', item: id, repository, reference: tag ?? digest }
  const fault = await attempt(ports, item, async () => {
    const landed = (await registry.headManifest(repository, digest)) !== undefined
    if (landed) await recordPendingPush(ports, admission)
    else if (tag !== null) await syncTag(ports, repository, tag)
  })
  // What cannot be recorded is not waited for. Anything else may succeed later.
  if (fault !== undefined && !(fault instanceof UnrecordableError)) return
  await pendingPushes.removePendingPush(id)
  await ports.failures.forgetFailure(item)
  counts.admissionsSettled += 1
}
