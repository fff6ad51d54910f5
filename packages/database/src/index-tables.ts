import type { ColumnType, Generated, GeneratedAlways, JSONColumnType } from 'kysely'
import type { NullableTimestamp, Timestamp } from './column-types.ts'

export interface RepositoriesTable {
  id: Generated<string>
  name: string
  scope: Generated<'namespace' | 'global'>
  /** Set while it is being deleted: when somebody last worked on that. */
  deleting_since: NullableTimestamp
  /** When it was last compared with the registry. */
  reconciled_at: NullableTimestamp
  /** Whether it stays in lists without a manifest: a client deleted the last one. */
  keep_empty: Generated<boolean>
  /** Names it in tokens that were granted because it is global; never reused. */
  number: Generated<number>
  /** How often it has ceased to be global. */
  global_generation: Generated<number>
  created_at: Timestamp
  updated_at: Timestamp
}

export interface ManifestsTable {
  repository_id: string
  digest: string
  media_type: string
  artifact_type: string | null
  subject: string | null
  annotations: JSONColumnType<Record<string, string>> | null
  /** As it was pushed. */
  raw: Buffer
  /** Its sha512 digest. */
  sha512: GeneratedAlways<string>
  /** Whether it is here alone: an index that the registry cannot take. */
  kept: Generated<boolean>
  /** New whenever it is recorded. To be compared for equality only: the sequence begins again after 2^31 - 1. */
  revision: Generated<number>
  /** In bytes; null until its references have their sizes. A bigint, which pg reads as text: for SQL alone. */
  size: ColumnType<string | null, number | null | undefined, number | null>
  pushed_at: Timestamp
}

/** A blob that was pushed by a sha512 digest, and how the registry calls it. */
export interface BlobAliasesTable {
  repository: string
  sha512: string
  sha256: string
}

export interface TagsTable {
  repository_id: string
  name: string
  digest: string
  /** New with every change; see the revision of manifests. */
  revision: Generated<number>
  updated_at: Timestamp
}

/** What a manifest names. */
export interface ManifestReferencesTable {
  repository_id: string
  manifest_digest: string
  digest: string
  kind: 'config' | 'layer' | 'manifest'
  /** In bytes, as the manifest says; null where it does not, or was not read yet. For SQL alone. */
  size: ColumnType<string | null, number | null | undefined, number | null>
}

/** A manifest on its way to the registry. */
export interface AdmissionsTable {
  id: Generated<string>
  repository: string
  digest: string
  tag: string | null
  media_type: string
  raw: Buffer
  /** What was read of it, without digest and media type; null where the previous version admitted it. */
  facts: ColumnType<object | null, string | null | undefined, string | null>
  /** What it references; null where a previous version of image-manager wrote the row. */
  digests: ColumnType<string[] | null, string[] | undefined, never>
  admitted_at: Timestamp
}

/** An item of background work that failed, and is tried again at `retry_at`. */
export interface BackgroundFailuresTable {
  kind: 'push' | 'deletion' | 'repository' | 'manifest'
  /** Its key among those of its kind. */
  item: string
  repository: string
  /** A tag or a digest; empty where the item is all of a repository. */
  reference: string
  reason: string
  tries: Generated<number>
  first_failed_at: Timestamp
  last_failed_at: Timestamp
  retry_at: Timestamp
}

/** A blob that was uploaded or mounted into a repository, whether or not a manifest names it. */
export interface RepositoryBlobsTable {
  repository: string
  digest: string
  /** When an upload or a mount of it was last authorized. */
  announced_at: Timestamp
  /** Set when whatever named it was deleted: it is deleted too, unless it is named or uploaded again. */
  orphaned_at: NullableTimestamp
}

/** A manifest or blob that a deletion is removing from the registry: no manifest may name it until that is over. */
export interface PendingRemovalsTable {
  removal: string
  repository: string
  digest: string
  since: Timestamp
}

/** A repository that ceased to be global: tokens granted before that carry a smaller generation. */
export interface EndedGlobalsTable {
  number: number
  least_generation: number
  ended_at: Timestamp
}

/** A comparison of the whole index with the registry. */
export interface ReconciliationsTable {
  id: Generated<string>
  started_at: Timestamp
  finished_at: NullableTimestamp
  /** Which of the two lists of repositories it walks. */
  step: ColumnType<'registry' | 'index', 'registry' | 'index' | undefined, 'registry' | 'index'>
  /** The repository after which the registry's list goes on. */
  last_name: string | null
  counts: ColumnType<Record<string, number>, string | undefined, string>
  /** The process that works on it, until `leased_until` the only one. */
  holder: string
  leased_until: Timestamp
}
