import type { Database } from '@registry-manager/database'
import type { NewEvent } from '@registry-manager/events'
import type { RawBuilder } from 'kysely'
import { sql } from 'kysely'
import { recordEventsIn } from '../events-repository.ts'

/** Whether the namespace of a repository uses more than its soft limit, and no push has been reported for that yet. */
export function crossesSoftLimit(repository: RawBuilder<unknown>): RawBuilder<boolean> {
  return sql<boolean>`exists (
    select from namespace_usage
    where namespace = split_part(${repository}, '/', 1) and bytes > soft_bytes and soft_crossed_at is null)`
}

/**
 * Records that a push has crossed the soft limit, with the context of the event of the push. Of several pushes only one
 * records it. The next event follows after the usage has been below the limit again.
 */
export async function recordSoftLimit(
  tx: Database,
  repository: string,
  pushed: Pick<NewEvent, 'context'> = {},
): Promise<void> {
  const { rows } = await sql<{ namespace: string; used: number; limit: number }>`
    update namespace_usage set soft_crossed_at = now()
    where namespace = split_part(${repository}, '/', 1) and bytes > soft_bytes and soft_crossed_at is null
    returning namespace, bytes::float8 as used, soft_bytes::float8 as limit`.execute(tx)
  for (const { namespace, used, limit } of rows) {
    const target = { kind: 'namespace', namespace } as const
    const { context } = pushed
    await recordEventsIn(tx)({ action: 'quota.soft-limit', target, context, detail: { used, limit } })
  }
}
