import type { ColumnType, Generated, GeneratedAlways } from 'kysely'
import type { Nullable, NullableTimestamp, Timestamp } from './index-tables.ts'

/** A digest that a deleted row named, until the next review. Triggers write the rows (`2026-12-08-storage`). */
export interface ReleasedDigestsTable {
  id: GeneratedAlways<string>
  digest: string
  released_at: Timestamp
}

/**
 * A digest whose data may be removed from the registry's storage. A trigger deletes the row when another row names the
 * digest again.
 */
export interface UnreferencedBlobsTable {
  digest: string
  /** When a row that named the digest was last deleted. */
  since: Timestamp
  /**
   * `waiting` for the end of the grace period, `condemned` when nothing references it, `removing` while a worker may
   * remove its data.
   */
  state: 'waiting' | 'condemned' | 'removing'
  /** The size of the data, from a listing; null if it is not known. pg reads bigint as a string: cast it in SQL. */
  bytes: ColumnType<string | null, number | null | undefined, number | null>
  /** The transaction that condemned it. Use it in SQL only. */
  condemned_by: Nullable<string>
  claim: Nullable<string>
  /** The time until which a worker may remove the data. */
  removing_until: NullableTimestamp
  retry_at: NullableTimestamp
  failures: Generated<number>
  /** The reason why the last removal failed. */
  reason: Nullable<string>
  /** When a listing of the storage last found a link to it. */
  linked_at: NullableTimestamp
}

/** The state of the collection: one row. */
export interface CollectionTable {
  only: Generated<boolean>
  /** Identifies the database that the state belongs to. */
  database: Nullable<string>
  began_at: Timestamp
  /** When a complete reconcile run ended that had begun after `began_at`. */
  reconciled_at: NullableTimestamp
  paused: Generated<boolean>
  blobs_per_second: Nullable<number>
  next_claim_at: Timestamp
  reviewed_at: NullableTimestamp
  removed_at: NullableTimestamp
  removed_blobs: Generated<string>
  removed_bytes: Generated<string>
  failed_removals: Generated<string>
}

/** A listing of the storage by a worker. The numbers are complete when it has ended. */
export interface CollectionListingsTable {
  id: Generated<string>
  worker: string
  began_at: Timestamp
  leased_until: Timestamp
  ended_at: NullableTimestamp
  last_page: Nullable<string>
  stored_blobs: Generated<string>
  stored_bytes: Generated<string>
  /** Blobs that a row of the index or a link in the storage names. */
  known_blobs: Generated<string>
  known_bytes: Generated<string>
  /** Blobs of `unreferenced_blobs`. */
  condemned_blobs: Generated<string>
  condemned_bytes: Generated<string>
  /** Unknown blobs that are younger than the grace period. */
  recent_blobs: Generated<string>
  recent_bytes: Generated<string>
  unknown_blobs: Generated<string>
  unknown_bytes: Generated<string>
  uploads: Generated<string>
  upload_bytes: Generated<string>
}

/** A blob that a listing has found, and that no row of the index names. */
export interface UnknownBlobsTable {
  digest: string
  bytes: ColumnType<string, number, number>
  modified_at: Timestamp
  listing: string
  linked: Generated<boolean>
  listings: Generated<number>
  settled: Nullable<string>
}
