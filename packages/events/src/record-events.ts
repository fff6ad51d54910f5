import type { Database } from '@registry-manager/database'
import type { RequestContext, RequestPrincipal } from '@registry-manager/http'
import { currentRequestContext } from '@registry-manager/http'
import type { EventTarget, NewEvent } from './event.ts'
import { nameOfTarget } from './event.ts'

/** Records events, in one statement. Each is part of the transaction of the change that it describes. */
export type RecordEvents = (...events: readonly NewEvent[]) => Promise<void>

export interface RecordEventsOptions {
  /** The principal of events that no request causes, such as those of background work. */
  readonly principal: RequestPrincipal
  /** The context of the current request. */
  readonly context?: () => RequestContext | undefined
}

/**
 * Creates the function that records events through a database connection, or through the transaction of a change: then
 * the events exist exactly if the change does.
 */
export function createRecordEvents(
  db: Database,
  { principal: background, context = currentRequestContext }: RecordEventsOptions,
): RecordEvents {
  return async (...events) => {
    if (events.length === 0) return
    const current = context()
    const rows = events.map((event) => {
      const principal = event.principal ?? (current === undefined ? background : current.principal)
      return {
        action: event.action,
        outcome: event.outcome ?? 'done',
        principal_kind: principal?.kind ?? 'anonymous',
        principal_id: principal?.id ?? null,
        principal_name: principal?.name ?? null,
        address: event.address ?? current?.address ?? null,
        request_id: event.requestId ?? current?.requestId ?? null,
        target: JSON.stringify({ ...event.target, name: nameOfTarget(event.target) }),
        ...subjectOf(event.target),
        detail: JSON.stringify(event.detail ?? {}),
      }
    })
    await db.insertInto('events').values(rows).execute()
  }
}

/** The columns that events are filtered by. */
function subjectOf(target: EventTarget) {
  const isAboutAccount = target.kind === 'user' || target.kind === 'registry-token'
  return {
    repository: 'repository' in target ? target.repository : null,
    account_id: isAboutAccount ? (target.id ?? null) : null,
    account_name: isAboutAccount ? target.account : null,
  }
}
