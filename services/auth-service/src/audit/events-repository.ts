import type { Database } from '@registry-manager/database'
import type { EventDetail } from '@registry-manager/events'
import type { RawBuilder } from 'kysely'
import { sql } from 'kysely'
import type { EventFilter, EventPosition, StoredEvent } from './list-events.ts'

interface Row {
  readonly id: string
  readonly time: Date
  readonly micros: string
  readonly action: string
  readonly outcome: StoredEvent['outcome']
  readonly principal_kind: StoredEvent['principal']['kind']
  readonly principal_id: string | null
  readonly principal_name: string | null
  readonly principal_via: NonNullable<StoredEvent['principal']['via']> | null
  readonly address: string | null
  readonly request_id: string | null
  readonly target: StoredEvent['target']
  readonly detail: EventDetail
}

type Condition = RawBuilder<unknown>

/** Reads the events of all services. `packages/events` writes them. */
export function createEventsRepository(db: Database) {
  return {
    /** The newest events that match a filter, after a position in that order. */
    async find(filter: EventFilter, after: EventPosition | undefined, limit: number): Promise<StoredEvent[]> {
      const { rows } = await selectEvents(filter, after, limit).execute(db)
      return rows.map(toEvent)
    },
  }
}

/** A filter and the columns that it is compared with. Each has an index: the column, the time, the id. */
interface Key {
  readonly columns: readonly string[]
  readonly value: string
}

/**
 * The query of a page. One filter is the key: its index has the events of a value in the order of pages, so Postgres
 * reads the events of the page, and those in between that the further filters exclude. The key is written as a range
 * and is the first column of ORDER BY: otherwise Postgres could walk through all events by time, which takes long if
 * the last event of the value is old. A value that can be a name or an id is compared with two columns: one branch of
 * the union for each.
 */
export function selectEvents(filter: EventFilter, after: EventPosition | undefined, limit: number) {
  const [key, ...others] = keysOf(filter)
  const conditions = [...others.map(isEqual), ...conditionsOf(filter)]
  const branches =
    key === undefined
      ? [selectBranch(limit, sql``, [...timesOf(filter, after), ...conditions])]
      : key.columns.map((column, at) => {
          const others = key.columns
            .slice(0, at)
            .map((name) => sql`${sql.ref(name)} is distinct from ${key.value}`)
          const range = rangeOf(sql.ref(column), key.value, filter, after)
          return selectBranch(limit, sql`${sql.ref(column)} desc,`, [...range, ...others, ...conditions])
        })
  // pg returns a bigint as a string, PGlite as a number.
  return sql<Row>`
    select id::text as id, time, (extract(epoch from time) * 1000000)::bigint::text as micros, action, outcome,
      principal_kind, principal_id, principal_name, principal_via, address, request_id, target, detail
    from (${sql.join(branches, sql` union all `)}) as found
    order by found.time desc, found.id desc limit ${limit}`
}

function selectBranch(limit: number, keyOrder: Condition, conditions: readonly Condition[]): Condition {
  return sql`(select * from events where ${sql.join([sql`true`, ...conditions], sql` and `)}
    order by ${keyOrder} time desc, id desc limit ${limit})`
}

/** The filters that can be the key. The first one usually has the fewest events. */
function keysOf({ account, repository, principal, action, outcome }: EventFilter): Key[] {
  const keys: readonly (readonly [columns: readonly string[], value: string | undefined])[] = [
    [['account_name', 'account_id'], account],
    [['repository'], repository],
    [['principal_name', 'principal_id'], principal],
    [['action'], action],
    // Nearly all events have the outcome `done`, so the index by outcome leaves them out.
    [['outcome'], outcome === 'done' ? undefined : outcome],
  ]
  return keys.flatMap(([columns, value]) => (value === undefined ? [] : { columns, value }))
}

function isEqual({ columns, value }: Key): Condition {
  const equal = columns.map((column) => sql`${sql.ref(column)} = ${value}`)
  return sql`(${sql.join(equal, sql` or `)})`
}

/** The conditions of filters that can never be the key. */
function conditionsOf({ tag, digest, outcome }: EventFilter): Condition[] {
  return [
    // The deletion of a repository deletes its tags.
    tag === undefined ? [] : sql`(target ->> 'tag' = ${tag} or action = 'repository.delete')`,
    digest === undefined ? [] : sql`(target ->> 'digest' = ${digest} or detail ->> 'digest' = ${digest})`,
    outcome === undefined ? [] : outcome === 'done' ? sql`outcome = 'done'` : sql`outcome <> 'done'`,
  ].flat()
}

/** The part of a key's index with one value, between two times and after a position. */
function rangeOf(
  column: Condition,
  value: string,
  { since, until }: EventFilter,
  after: EventPosition | undefined,
): Condition[] {
  return [
    since === undefined
      ? sql`${column} >= ${value}`
      : sql`(${column}, time) >= (${value}, ${since}::timestamptz)`,
    until === undefined
      ? sql`${column} <= ${value}`
      : sql`(${column}, time) < (${value}, ${until}::timestamptz)`,
    after === undefined ? [] : sql`(${column}, time, id) < (${value}, ${timeOf(after)}, ${after.id}::bigint)`,
  ].flat()
}

function timesOf({ since, until }: EventFilter, after: EventPosition | undefined): Condition[] {
  return [
    since === undefined ? [] : sql`time >= ${since}`,
    until === undefined ? [] : sql`time < ${until}`,
    after === undefined ? [] : sql`(time, id) < (${timeOf(after)}, ${after.id}::bigint)`,
  ].flat()
}

function timeOf({ micros }: EventPosition): Condition {
  return sql`timestamptz 'epoch' + ${micros}::bigint * interval '1 microsecond'`
}

function toEvent(row: Row): StoredEvent {
  const { id, micros, time, action, outcome, address, target, detail, principal_via: via } = row
  return {
    position: { micros, id },
    time,
    action,
    principal: {
      kind: row.principal_kind,
      id: row.principal_id,
      name: row.principal_name,
      ...(via && { via }),
    },
    address,
    requestId: row.request_id,
    target,
    outcome,
    detail,
  }
}
