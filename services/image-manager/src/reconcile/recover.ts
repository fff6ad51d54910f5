import { UnrecordableError } from '../index/ensure-manifest.ts'
import type { PageRequest } from '../index/repository.ts'
import type { Deletion, FinishDeletionPorts } from '../delete/delete-repositories.ts'
import { finishDeletion } from '../delete/delete-repositories.ts'
import type { RecordOrUndoPushPorts } from '../push/record-or-undo-push.ts'
import { recordOrUndoPush } from '../push/record-or-undo-push.ts'
import type { PendingPush } from '../push/record-pending-push.ts'
import { readPages } from './paginate.ts'
import type { RecoverDeletionsPorts } from './recover-deletions.ts'
import { recoverDeletions } from './recover-deletions.ts'
import type { FailureKind, WorkItem, WorkItemPorts } from './work-item.ts'
import { attempt } from './work-item.ts'

export type RecoverPorts = RecordOrUndoPushPorts &
  FinishDeletionPorts &
  RecoverDeletionsPorts &
  WorkItemPorts & {
    readonly pendingPushes: {
      findPendingPush(id: string): Promise<PendingPush | undefined>
      removePendingPush(id: string): Promise<void>
      removeLeftovers(): Promise<void>
    }
    readonly manifestSizes: {
      /** Fills in the sizes of at most `limit` manifests. False if there were none left. */
      fillSizes(limit?: number): Promise<boolean>
      /** Skips the first manifest without sizes, and returns its name. */
      skipSizes(): Promise<{ readonly repository: string; readonly reference: string } | undefined>
    }
    readonly unfinishedWork: {
      listUnfinishedPushes(seconds: number, page: PageRequest): Promise<string[]>
      takeDeletion(seconds: number): Promise<Deletion | undefined>
    }
    readonly failures: {
      deleteFailure(item: Pick<WorkItem, 'kind' | 'item'>): Promise<void>
    }
    /** Runs between two steps. An error of it ends the work. */
    readonly checkpoint: () => Promise<void>
  }

/** The age at which a pending push counts as abandoned, in seconds. The proxy waits 60 seconds for the registry. */
const PUSH_SECONDS = 90
/** A deletion that no process has renewed for this long counts as abandoned. In seconds. */
const DELETION_SECONDS = 120

/**
 * Finishes work that a process left unfinished: pending pushes and requested deletions whose outcome was not recorded,
 * interrupted deletions of repositories, and manifests without sizes. An item that fails is skipped and retried later.
 */
export async function recover(ports: RecoverPorts): Promise<void> {
  for (const [kind, name, work] of STEPS) {
    const item = { kind, item: name, repository: '', reference: '' }
    const error = await attempt(ports, item, () => work(ports))
    if (error === undefined) await ports.failures.deleteFailure(item)
  }
}

/** A step is an item of its own: if its items cannot be listed, the other steps still run. */
const STEPS: readonly (readonly [
  kind: FailureKind,
  name: string,
  work: (ports: RecoverPorts) => Promise<void>,
])[] = [
  ['push', 'recover-pushes', recoverPushes],
  ['deletion', 'finish-deletions', finishDeletions],
  ['deletion', 'recover-deletions', recoverDeletions],
  ['manifest', 'fill-sizes', fillAllSizes],
]

async function recoverPushes(ports: RecoverPorts): Promise<void> {
  const { unfinishedWork, pendingPushes, checkpoint } = ports
  for await (const id of readPages((page) => unfinishedWork.listUnfinishedPushes(PUSH_SECONDS, page))) {
    await checkpoint()
    await recoverPush(ports, id)
  }
  await checkpoint()
  await pendingPushes.removeLeftovers()
}

async function recoverPush(ports: RecoverPorts, id: string): Promise<void> {
  const { pendingPushes, failures, counts } = ports
  const pending = await pendingPushes.findPendingPush(id)
  if (pending === undefined) return
  const { repository, digest, tag } = pending
  const item: WorkItem = { kind: 'push', item: id, repository, reference: tag ?? digest }
  const error = await attempt(ports, item, () => recordOrUndoPush(ports, pending, { isAbandoned: true }))
  // A retry of an unrecordable push would fail again. Any other error may be temporary.
  if (error !== undefined && !(error instanceof UnrecordableError)) return
  await pendingPushes.removePendingPush(id)
  await failures.deleteFailure(item)
  counts.pushesRecovered += 1
}

async function finishDeletions(ports: RecoverPorts): Promise<void> {
  const { unfinishedWork, failures, counts, checkpoint } = ports
  for (;;) {
    await checkpoint()
    const deletion = await unfinishedWork.takeDeletion(DELETION_SECONDS)
    if (deletion === undefined) return
    const item = { kind: 'deletion', item: deletion.id, repository: deletion.name, reference: '' } as const
    const error = await attempt(ports, item, () => finishDeletion(ports, deletion))
    if (error !== undefined) continue
    await failures.deleteFailure(item)
    counts.deletionsFinished += 1
  }
}

/**
 * Fills in sizes page by page. If a page fails, continues with one manifest at a time. A manifest that fails alone is
 * skipped for good: its size is stored, and the sizes of the content that it references stay unknown.
 */
async function fillAllSizes(ports: RecoverPorts): Promise<void> {
  const { manifestSizes, checkpoint, endsWork } = ports
  for (let [hasMore, isAlone] = [true, false]; hasMore;) {
    await checkpoint()
    try {
      hasMore = await manifestSizes.fillSizes(isAlone ? 1 : undefined)
      isAlone = false
    } catch (error) {
      if (endsWork(error)) throw error
      const skipped = isAlone ? await manifestSizes.skipSizes() : undefined
      isAlone = !isAlone
      if (skipped === undefined) continue
      const item = `${skipped.repository} ${skipped.reference}`
      await attempt(ports, { kind: 'manifest', item, ...skipped }, () => Promise.reject(error as Error))
    }
  }
}
