import type { Generated, JSONColumnType } from 'kysely'
import type { NullableTimestamp, Timestamp } from './index-tables.ts'

/** The rules of retention. A namespace without rules has no row. image-manager defines the shape of the rules. */
export interface RetentionRulesTable {
  namespace: string
  rules: JSONColumnType<object[], string, string>
  updated_at: Timestamp
}

/** A run of retention over all repositories that rules cover. */
export interface RetentionRunsTable {
  id: Generated<string>
  started_at: Timestamp
  finished_at: NullableTimestamp
  /** The last repository that is done. */
  last_name: string | null
  /** The process that holds the lease on the run until `leased_until`. */
  holder: string
  leased_until: Timestamp
}

/** Numbers of deletions of a run in a namespace. */
export interface RetentionRunCountsTable {
  run_id: string
  namespace: string
  repositories: number
  tags: number
  manifests: number
  failures: number
}
