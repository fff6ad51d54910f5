import type { EventDetail, NewEvent } from '@registry-manager/events'
import type { RequestContext, RequestPrincipal } from '@registry-manager/http'

/** The target of a deletion of less than a repository. */
export type DeletionTarget =
  | {
      readonly kind: 'tag'
      readonly repository: string
      readonly tag: string
      readonly digest?: string | undefined
    }
  | { readonly kind: 'manifest' | 'blob'; readonly repository: string; readonly digest: string }

export interface RequestedDeletion {
  readonly target: DeletionTarget
  /** Whether the index had the target when the deletion was requested. */
  readonly existed: boolean
  /** The tags of the manifest, which the registry deletes with it. */
  readonly tags: readonly string[]
  readonly context: RequestContext | null
  readonly requestedAt: Date
}

export interface RecordDeletionPorts {
  readonly requestedDeletions: {
    /** Looks up the target in the index, and stores the request with its context. Returns the id of the request. */
    begin(target: DeletionTarget, principal?: RequestPrincipal): Promise<string>
    /** Ends a request, with the events of its outcome. Only one of several calls has an effect. */
    end(id: string, eventsOf: (deletion: RequestedDeletion) => readonly NewEvent[]): Promise<void>
  }
}

export interface RecordDeletionOptions {
  /** The principal that deletes, if it is not the principal of the current request. */
  readonly principal?: RequestPrincipal
  /** The reason of a deletion that no client requested. */
  readonly reason?: string
}

/**
 * Runs a deletion and records its events. The request is stored first: if the process is killed, or the registry
 * becomes unavailable in the middle, another process finds out whether the target is gone, and records the events
 * (`reconcile/recover-deletions.ts`). The transaction that records the events deletes the request's row, so no deletion
 * is recorded twice.
 */
export async function recordDeletion<Result>(
  { requestedDeletions }: RecordDeletionPorts,
  target: DeletionTarget,
  work: () => Promise<Result>,
  isDone: (result: Result) => boolean,
  { principal, reason }: RecordDeletionOptions = {},
): Promise<Result> {
  const id = await requestedDeletions.begin(target, principal)
  const result = await work()
  const detail = reason === undefined ? {} : { reason }
  await requestedDeletions.end(id, (deletion) => (isDone(result) ? eventsOfDeletion(deletion, detail) : []))
  return result
}

/** The events of a deletion: its own, with a detail, and one for every tag that went with a manifest. */
export function eventsOfDeletion(
  { target, tags, context }: RequestedDeletion,
  detail: EventDetail,
): NewEvent[] {
  const own: NewEvent = { action: `${target.kind}.delete`, target, context: context ?? undefined, detail }
  if (target.kind !== 'manifest') return [own]
  const { repository, digest } = target
  const ofTags = tags.map((tag): NewEvent => ({
    action: 'tag.delete',
    target: { kind: 'tag', repository, tag, digest },
    context: own.context,
    detail: { ...detail, with: 'manifest' },
  }))
  return [own, ...ofTags]
}
