import type { ColumnType } from 'kysely'
import type { Timestamp } from './index-tables.ts'

/** Number of pulls of a tag. The row stays for a month after the tag is gone. */
export interface TagPullsTable {
  repository_id: string
  tag: string
  /** pg reads bigint as a string: cast in SQL. */
  pulls: ColumnType<string, number, number>
  last_pulled_at: Timestamp
}

/** Number of pulls of a manifest, by its digest or by a tag. */
export interface ManifestPullsTable extends Omit<TagPullsTable, 'tag'> {
  digest: string
}

/** Counts of pulls that registry-proxy has sent. The row keeps them from being added twice. */
export interface PullBatchesTable {
  id: string
  added_at: Timestamp
}
