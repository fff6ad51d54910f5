import type { Database } from '@registry-manager/database'
import type { NewEvent, RecordListsOfEvents } from '@registry-manager/events'
import { contextToStore, createRecordEvents } from '@registry-manager/events'
import { sql } from 'kysely'
import { REPEAT_WINDOW, isRepeat } from './repeats-repository.ts'
import { IMAGE_MANAGER } from './service-principal.ts'

/** Records events in the transaction of the change that they describe. */
export function recordEventsIn(tx: Database): RecordListsOfEvents {
  return createRecordEvents(tx, { principal: IMAGE_MANAGER })
}

/**
 * Records the events of a push that changes the index only, in the transaction of its change. A push that the current
 * request has recorded before gets no second event.
 */
export async function recordPushIn(tx: Database, events: readonly NewEvent[]): Promise<void> {
  const fresh: NewEvent[] = []
  for (const event of events) if (!(await isRepeated(tx, event))) fresh.push(event)
  await recordEventsIn(tx)(fresh)
}

async function isRepeated(tx: Database, { action, target }: NewEvent): Promise<boolean> {
  const context = contextToStore()
  if (action !== 'push' || context === null) return false
  if (target.kind !== 'tag' && target.kind !== 'manifest') return false
  const repeated = isRepeat({
    action,
    context: sql`${context}::jsonb`,
    repository: sql`${target.repository}::text`,
    tag: sql`${target.kind === 'tag' ? target.tag : null}::text`,
    digest: sql`${target.digest ?? null}::text`,
    since: sql`now() - ${REPEAT_WINDOW}`,
  })
  const { rows } = await sql<{ repeated: boolean }>`select ${repeated} as repeated`.execute(tx)
  return rows[0]?.repeated === true
}
