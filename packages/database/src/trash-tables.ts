import type { RequestPrincipal } from '@registry-manager/http'
import type { Generated, GeneratedAlways, JSONColumnType } from 'kysely'
import type { NullableTimestamp, Timestamp } from './index-tables.ts'

/** A deleted manifest or repository. Its manifests are in the repository `registry-manager-trash/ID`. */
export interface TrashTable {
  id: Generated<string>
  number: GeneratedAlways<string>
  /** The repository that the content was deleted from. */
  repository: string
  repository_id: string
  kind: 'manifest' | 'repository'
  /** The deleted manifest. */
  digest: string | null
  /**
   * `filling`: the content is being copied to the trash. `filled`: the copy is complete, and the content is being
   * deleted from its original repository. `kept`: the deletion has ended. `restoring`: a request is restoring the
   * content. `emptying`: the content was restored, or can
   * no longer be restored, and is being removed from the trash.
   */
  state: 'filling' | 'filled' | 'kept' | 'restoring' | 'emptying'
  days: number
  deleted_at: Timestamp
  deleted_by: JSONColumnType<RequestPrincipal> | null
  /** Set when the deletion has ended. */
  expires_at: NullableTimestamp
  /** When a process last worked on the entry. */
  claimed_at: Timestamp
}

/** A tag that a deleted manifest had. */
export interface TrashTagsTable {
  trash_id: string
  tag: string
  digest: string
}
