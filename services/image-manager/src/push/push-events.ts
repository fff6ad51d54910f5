import type { EventTarget, NewEvent } from '@registry-manager/events'
import type { RequestContext } from '@registry-manager/http'

export interface PushedReference {
  readonly repository: string
  readonly digest: string
  /** Null for a push by digest. */
  readonly tag: string | null
  readonly mediaType: string
  /** Bytes of the manifest. */
  readonly size: number
  /** The digest that the tag had before; null or undefined if there was no such tag. */
  readonly replaced?: string | null | undefined
  /** The context of the push, if it was stored; that of the current request otherwise. */
  readonly context?: RequestContext | null | undefined
}

/** The events of a push: the push itself, and the move of its tag if the tag had another digest before. */
export function eventsOfPush(pushed: PushedReference): [NewEvent, ...NewEvent[]] {
  const { repository, digest, tag, mediaType, size, replaced } = pushed
  const context = pushed.context ?? undefined
  const target: EventTarget =
    tag === null ? { kind: 'manifest', repository, digest } : { kind: 'tag', repository, tag, digest }
  const push: NewEvent = { action: 'push', target, detail: { digest, mediaType, size }, context }
  if (tag === null || replaced == null || replaced === digest) return [push]
  return [push, { action: 'tag.move', target, detail: { from: replaced, to: digest }, context }]
}
