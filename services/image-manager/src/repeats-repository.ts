import type { RawBuilder } from 'kysely'
import { sql } from 'kysely'

/** A change for which a request may have an event already, as SQL expressions. */
export interface RequestedChange {
  readonly action: 'push' | 'delete'
  /** The stored context of the request: jsonb. */
  readonly context: RawBuilder<unknown>
  readonly repository: RawBuilder<unknown>
  /** Null for a change of a manifest or blob. */
  readonly tag: RawBuilder<unknown>
  /** The digest that was pushed, or that is deleted. */
  readonly digest: RawBuilder<unknown>
  /** The earliest time of an event of the same request. */
  readonly since: RawBuilder<unknown>
}

/**
 * The time before the announcement of a push in which an earlier attempt of the same request may have been recorded.
 * nginx and the services repeat a request within ten seconds.
 */
export const REPEAT_WINDOW = sql`interval '30 seconds'`

/**
 * Whether a change repeats one that the same request has recorded already, because nginx or a service sent the request
 * twice. The request id alone does not prove this: behind a proxy that passes the id on, clients choose it. The newest
 * event about the target must also describe the same change by the same principal. A second event would then add
 * nothing.
 */
export function isRepeat({
  action,
  context,
  repository,
  tag,
  digest,
  since,
}: RequestedChange): RawBuilder<boolean> {
  const isSame =
    action === 'push'
      ? sql`same.action = 'push' and same.target ->> 'digest' = ${digest}`
      : sql`same.action like '%.delete' and (${tag} is not null or same.target ->> 'digest' = ${digest})`
  return sql<boolean>`exists (
    select from events as same
    where same.request_id = ${context} ->> 'requestId'
      and same.principal_kind = coalesce(${context} #>> '{principal,kind}', 'anonymous')
      and same.principal_id is not distinct from ${context} #>> '{principal,id}'
      and same.time >= ${since}
      and same.repository = ${repository} and same.target ->> 'tag' is not distinct from ${tag} and ${isSame}
      and not exists (
        select from events as later
        where later.repository = ${repository} and later.time >= same.time and later.id > same.id
          and later.action <> 'tag.move' and (later.action = 'repository.delete'
            or later.target ->> 'tag' = ${tag}
            or later.target ->> 'digest' = ${digest} and (${tag} is null or later.action = 'manifest.delete'))))`
}
