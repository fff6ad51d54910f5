import type { Database } from '@registry-manager/database'
import type { RequestContext, RequestPrincipal } from '@registry-manager/http'
import { currentRequestContext } from '@registry-manager/http'
import type { EventTarget, NewEvent } from './event.ts'
import { nameOfTarget } from './event.ts'

/** Records events, in one statement per thousand. Each is part of the transaction of the change that it describes. */
export type RecordEvents = (...events: readonly NewEvent[]) => Promise<void>

/**
 * Like RecordEvents, but also takes lists. Pass a list of unlimited length as one argument: each takes space on the
 * stack.
 */
export type RecordListsOfEvents = (...events: readonly (NewEvent | readonly NewEvent[])[]) => Promise<void>

export interface RecordEventsOptions {
  /** The principal of events that no request causes, such as those of background work. */
  readonly principal: RequestPrincipal
  /** The context of the current request. */
  readonly context?: () => RequestContext | undefined
}

/** Postgres allows 65,535 parameters in a statement. */
const MAX_ROWS = 1000

/**
 * Creates the function that records events through a database connection. Given the transaction of a change, it records
 * the events if and only if the change is committed.
 */
export function createRecordEvents(
  db: Database,
  { principal: background, context = currentRequestContext }: RecordEventsOptions,
): RecordListsOfEvents {
  return async (...events) => {
    const ofRequest = context()
    const rows = events.flat().map((event) => {
      const current = event.context === undefined ? ofRequest : (event.context ?? undefined)
      const principal = event.principal ?? (current === undefined ? background : current.principal)
      return {
        ...(event.time !== undefined && { time: event.time }),
        action: event.action,
        outcome: event.outcome ?? 'done',
        principal_kind: principal?.kind ?? 'anonymous',
        principal_id: principal?.id ?? null,
        principal_name: principal?.name?.toLowerCase() ?? null,
        ...(principal?.via !== undefined && { principal_via: JSON.stringify(principal.via) }),
        address: event.address ?? current?.address ?? null,
        request_id: event.requestId ?? current?.requestId ?? null,
        target: JSON.stringify({ ...event.target, name: nameOfTarget(event.target) }),
        ...subjectOf(event.target),
        detail: JSON.stringify(event.detail ?? {}),
      }
    })
    for (let at = 0; at < rows.length; at += MAX_ROWS) {
      await db
        .insertInto('events')
        .values(rows.slice(at, at + MAX_ROWS))
        .execute()
    }
  }
}

/**
 * The context of the current request as JSON, for a column of a table; null outside of requests. If work outlives its
 * request, its events can still name the principal that requested it.
 */
export function contextToStore(context = currentRequestContext()): string | null {
  return context === undefined ? null : JSON.stringify(context)
}

/** The columns that events are filtered by. Names of accounts are unique in lower case. */
function subjectOf(target: EventTarget) {
  const { account, id } = 'account' in target ? target : {}
  return {
    repository: 'repository' in target ? target.repository : null,
    account_id: id ?? null,
    account_name: account?.toLowerCase() ?? null,
  }
}
