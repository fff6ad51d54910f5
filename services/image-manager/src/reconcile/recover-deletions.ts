import type { EventDetail, NewEvent } from '@registry-manager/events'
import type { DeleteManifestPorts } from '../delete/delete-manifest.ts'
import { deleteManifest } from '../delete/delete-manifest.ts'
import type { DeletionTarget, RequestedDeletion } from '../delete/requested-deletion.ts'
import { eventsOfDeletion } from '../delete/requested-deletion.ts'
import { TOMBSTONE_ANNOTATION } from '../delete/tombstone.ts'
import type { PageRequest } from '../index/repository.ts'
import { syncTag } from '../index/sync-tag.ts'
import { verifyManifest } from '../index/verify-manifest.ts'
import { readPages } from './paginate.ts'
import type { WorkItem, WorkItemPorts } from './work-item.ts'
import { attempt } from './work-item.ts'

export type RecoverDeletionsPorts = DeleteManifestPorts &
  WorkItemPorts & {
    readonly requestedDeletions: {
      listAbandoned(seconds: number, page: PageRequest): Promise<string[]>
      findTarget(id: string): Promise<DeletionTarget | undefined>
      isExplained(id: string): Promise<boolean>
      end(id: string, eventsOf: (deletion: RequestedDeletion) => readonly NewEvent[]): Promise<void>
    }
    readonly comparison: {
      listEmptyAnnotated(repository: string, annotation: string): Promise<string[]>
    }
    readonly failures: {
      deleteFailure(item: Pick<WorkItem, 'kind' | 'item'>): Promise<void>
    }
    readonly checkpoint: () => Promise<void>
  }

/** The age at which a requested deletion counts as abandoned, in seconds. The orphans of a large image take time. */
const REQUEST_SECONDS = 300

/**
 * Finds the outcome of deletions whose process was killed or whose registry became unavailable. Removes content from
 * the index that the registry does not have any more. The events name the principal that requested the deletion, and
 * say that they are inferred: the target may have been deleted in the registry directly. A target that the index never
 * had, or that exists, has no event: the deletion did not happen, or the same was pushed again. A target whose end
 * another event explains has no event either.
 */
export async function recoverDeletions(ports: RecoverDeletionsPorts): Promise<void> {
  const { requestedDeletions, failures, counts, checkpoint } = ports
  const readPage = (page: PageRequest) => requestedDeletions.listAbandoned(REQUEST_SECONDS, page)
  for await (const id of readPages(readPage)) {
    await checkpoint()
    const target = await requestedDeletions.findTarget(id)
    if (target === undefined) continue
    const reference = target.kind === 'tag' ? target.tag : target.digest
    const item: WorkItem = { kind: 'deletion', item: id, repository: target.repository, reference }
    const error = await attempt(ports, item, async () => {
      const isDone = (await isGone(ports, target)) && !(await requestedDeletions.isExplained(id))
      await requestedDeletions.end(id, (deletion) =>
        isDone && deletion.existed ? eventsOfDeletion(deletion, inferredFrom(deletion)) : [],
      )
    })
    if (error !== undefined) continue
    await failures.deleteFailure(item)
    counts.deletionsFinished += 1
  }
}

function inferredFrom({ requestedAt }: RequestedDeletion): EventDetail {
  return { inferred: true, requestedAt: requestedAt.toISOString() }
}

async function isGone(ports: RecoverDeletionsPorts, target: DeletionTarget): Promise<boolean> {
  const { registry, manifests, tags } = ports
  const { repository } = target
  switch (target.kind) {
    case 'tag':
      await syncTag(ports, repository, target.tag)
      await deleteTombstoneOf(ports, repository, target.tag)
      return (await tags.findTag(repository, target.tag)).digest === undefined
    case 'manifest':
      if ((await manifests.resolveDigest(repository, target.digest))?.indexOnly === true) return false
      return !(await verifyManifest(ports, repository, target.digest, 'deleted'))
    case 'blob':
      return (await registry.headBlob(repository, target.digest)) === undefined
  }
}

/** Ends the deletion of a tag that still points at its tombstone. */
async function deleteTombstoneOf(ports: RecoverDeletionsPorts, repository: string, tag: string) {
  const { digest } = await ports.tags.findTag(repository, tag)
  if (digest === undefined) return
  const tombstones = await ports.comparison.listEmptyAnnotated(repository, TOMBSTONE_ANNOTATION)
  if (!tombstones.includes(digest)) return
  await deleteManifest(ports, repository, digest, { removesEmptyRepository: true })
}
