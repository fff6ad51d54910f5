import type { Database } from '@registry-manager/database'
import type { RecordListsOfEvents } from '@registry-manager/events'
import { createRecordEvents } from '@registry-manager/events'
import { IMAGE_MANAGER } from './service-principal.ts'

/** Records events in the transaction of the change that they describe. */
export function recordEventsIn(tx: Database): RecordListsOfEvents {
  return createRecordEvents(tx, { principal: IMAGE_MANAGER })
}
