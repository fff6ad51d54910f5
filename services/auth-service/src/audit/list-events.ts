import type { EventDetail, EventOutcome } from '@registry-manager/events'
import type { RequestPrincipal } from '@registry-manager/http'

/** The place of an event in the order of pages: newest first. */
export interface EventPosition {
  /** The event's time in microseconds since the epoch, Postgres' resolution. */
  readonly micros: string
  readonly id: string
}

export interface StoredEvent {
  readonly position: EventPosition
  readonly time: Date
  readonly action: string
  readonly principal: RequestPrincipal
  readonly address: string | null
  readonly requestId: string | null
  readonly target: { readonly kind: string; readonly name: string } & Readonly<Record<string, unknown>>
  readonly outcome: EventOutcome
  readonly detail: EventDetail
}

/** An event must match every condition that is given. */
export interface EventFilter {
  /** Name in lower case, or id. */
  readonly principal?: string | undefined
  readonly action?: string | undefined
  readonly repository?: string | undefined
  /** In `repository`. */
  readonly tag?: string | undefined
  /** In `repository`. */
  readonly digest?: string | undefined
  /** The user or registry token that the event is about: name in lower case, or id. */
  readonly account?: string | undefined
  readonly outcome?: EventOutcome | undefined
  /** The earliest time. */
  readonly since?: Date | undefined
  /** Events of this time and later do not match. */
  readonly until?: Date | undefined
}

export interface ListEventsPorts {
  /** The newest events that match a filter, after a position in that order. */
  find(filter: EventFilter, after: EventPosition | undefined, limit: number): Promise<readonly StoredEvent[]>
}

export interface EventsPage {
  readonly events: readonly StoredEvent[]
  /** The position after which the next page begins; undefined on the last page. */
  readonly next: EventPosition | undefined
}

export interface ListEvents {
  page(filter: EventFilter, after: EventPosition | undefined, limit: number): Promise<EventsPage>
  /**
   * Finds events in batches, each when the previous one was consumed; `limit` events at the most. Resolves when the
   * first batch was read, so that an unavailable database fails the request and not the middle of its response.
   */
  stream(
    filter: EventFilter,
    after: EventPosition | undefined,
    limit: number,
  ): Promise<AsyncIterable<readonly StoredEvent[]>>
}

/** Bounds the memory of a stream. */
export const STREAM_BATCH = 200

export function createListEvents({ find }: ListEventsPorts): ListEvents {
  return {
    async page(filter, after, limit) {
      const found = await find(filter, after, limit + 1)
      const events = found.slice(0, limit)
      return { events, next: found.length > limit ? events.at(-1)?.position : undefined }
    },

    async stream(filter, after, limit) {
      const first = await find(filter, after, Math.min(limit, STREAM_BATCH))
      async function* batches() {
        let [batch, left] = [first, limit - first.length]
        while (batch.length > 0) {
          yield batch
          if (batch.length < STREAM_BATCH || left === 0) return
          batch = await find(filter, batch.at(-1)?.position, Math.min(left, STREAM_BATCH))
          left -= batch.length
        }
      }
      return batches()
    },
  }
}
