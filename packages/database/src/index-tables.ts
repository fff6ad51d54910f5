import type { RequestContext, RequestPrincipal } from '@registry-manager/http'
import type { ColumnType, Generated, GeneratedAlways, JSONColumnType } from 'kysely'

export type Timestamp = ColumnType<Date, Date | string | undefined, Date | string>
/** A nullable column that an insert may leave out. */
export type Nullable<Value> = ColumnType<Value | null, Value | null | undefined, Value | null>
export type NullableTimestamp = Nullable<Date>
/** The context of the request that caused a row; null if no request caused it, or if a previous version wrote it. */
export type StoredContext = ColumnType<
  RequestContext | null,
  string | null | undefined,
  string | null | undefined
>
/** From a sequence of 64 bits. pg reads bigint as a string and PGlite as a number: cast it to text in SQL. */
type RevisionId = ColumnType<string | null, never, string>

/** The view of all repositories except pending ones: those that have only manifests whose push is pending. */
export interface RepositoriesTable {
  id: Generated<string>
  name: string
  scope: Generated<'namespace' | 'global'>
  /** Set while the repository is being deleted: when the deletion last made progress. */
  deleting_since: NullableTimestamp
  /** When the repository was last reconciled with the registry. */
  reconciled_at: NullableTimestamp
  /** Whether the repository stays in lists without a manifest, because a client deleted the last one. */
  keep_empty: Generated<boolean>
  /** Identifies the repository in access tokens that were granted because it is global; never reused. */
  number: Generated<number>
  /** Number of times that the repository has ceased to be global. */
  global_generation: Generated<number>
  created_at: Timestamp
  updated_at: Timestamp
}

/** The table behind `repositories`. */
export interface AllRepositoriesTable extends RepositoriesTable {
  /** Whether the repository has only pending manifests. */
  pending: Generated<boolean>
}

/** The view of all manifests except pending ones. */
export interface ManifestsTable {
  repository_id: string
  digest: string
  media_type: string
  artifact_type: string | null
  subject: string | null
  annotations: JSONColumnType<Record<string, string>> | null
  /** The bytes as pushed. */
  raw: Buffer
  /** The sha512 digest of the bytes. */
  sha512: GeneratedAlways<string>
  /** `index-only`: the registry cannot store the manifest. */
  state: Generated<'recorded' | 'index-only'>
  /** Changes whenever the manifest is recorded, for compare-and-set. Null in rows from before this column. */
  revision_id: RevisionId
  /** The revision for the previous version; a trigger changes it. The sequence wraps after 2^31 - 1. */
  revision: GeneratedAlways<number>
  /** Bytes; null until the sizes of the references are known. pg reads bigint as a string: use it in SQL only. */
  size: ColumnType<string | null, number | null | undefined, number | null>
  pushed_at: Timestamp
}

/** The table behind `manifests`. */
export interface AllManifestsTable extends Omit<ManifestsTable, 'state'> {
  /**
   * `pending`: the manifest was announced, and no push of it was recorded yet. In repositories of the trash, `moving`:
   * it is being copied to the trash; `trashed`: it is in the trash; `restored`: it is in its original repository again.
   */
  state: Generated<'pending' | 'recorded' | 'index-only' | 'moving' | 'trashed' | 'restored'>
}

/** A blob that was pushed by its sha512 digest, and the sha256 digest that the registry knows it by. */
export interface BlobAliasesTable {
  repository: string
  sha512: string
  sha256: string
}

export interface TagsTable {
  repository_id: string
  name: string
  digest: string
  /** Both change with every write; see the revisions of manifests. */
  revision_id: RevisionId
  revision: GeneratedAlways<number>
  updated_at: Timestamp
}

/** A config, layer or manifest that a manifest references. */
export interface ManifestReferencesTable {
  repository_id: string
  manifest_digest: string
  digest: string
  kind: 'config' | 'layer' | 'manifest'
  /** Bytes according to the manifest; null if it does not say, or has not been read yet. Use it in SQL only. */
  size: ColumnType<string | null, number | null | undefined, number | null>
}

/** A pending push: an announced manifest whose outcome is not recorded yet. Its bytes are in `all_manifests`. */
export interface PendingPushesTable {
  id: Generated<string>
  repository: string
  digest: string
  tag: string | null
  media_type: string
  /** Null, because the bytes are in the manifest's own row. The previous version stores them here. */
  raw: Nullable<Buffer>
  /** The parsed manifest without its annotations. */
  facts: ColumnType<object | null, string | null | undefined, string | null>
  /** Referenced digests; null if a previous version of image-manager wrote the row. */
  digests: ColumnType<string[] | null, string[] | undefined, never>
  /** The request that pushes. */
  context: StoredContext
  /** The digest that the tag had when the push was announced. */
  replaced: Nullable<string>
  /** Whether a deletion has changed the repository in the registry since the announcement. */
  contested: Generated<boolean>
  announced_at: Timestamp
}

/** An item of background work that failed; it is retried at `retry_at`. */
export interface BackgroundFailuresTable {
  kind: 'push' | 'deletion' | 'repository' | 'manifest'
  /** The item's key, unique within its kind. */
  item: string
  repository: string
  /** A tag or a digest; empty if the item is a whole repository. */
  reference: string
  reason: string
  tries: Generated<number>
  first_failed_at: Timestamp
  last_failed_at: Timestamp
  retry_at: Timestamp
}

/** A blob that was uploaded or mounted into a repository, whether or not a manifest references it. */
export interface RepositoryBlobsTable {
  repository: string
  digest: string
  /** When an upload or a mount of the blob was last authorized. */
  announced_at: Timestamp
  /** Set when the blob became an orphan. It is deleted unless a manifest references it or a client uploads it again. */
  orphaned_at: NullableTimestamp
}

/** A manifest or blob that is being removed from the registry: until then no manifest may reference it. */
export interface PendingRemovalsTable {
  removal: string
  repository: string
  digest: string
  since: Timestamp
}

/** A deletion that a client requested and whose outcome is not recorded yet. */
export interface RequestedDeletionsTable {
  id: Generated<string>
  target: JSONColumnType<{
    kind: 'tag' | 'manifest' | 'blob' | 'repository'
    repository: string
    tag?: string
    digest?: string
    /** The id of a repository. */
    id?: string
  }>
  /** Whether the index had the target. */
  existed: boolean
  /** The tags that the manifest had. */
  tags: string[]
  context: StoredContext
  requested_at: Timestamp
}

/** A repository that has ceased to be global: access tokens from before have a smaller generation. */
export interface EndedGlobalsTable {
  number: number
  least_generation: number
  ended_at: Timestamp
}

/** A reconcile run: one comparison of the whole index with the registry. */
export interface ReconciliationsTable {
  id: Generated<string>
  started_at: Timestamp
  finished_at: NullableTimestamp
  /** The one of the two lists of repositories that the run walks. */
  step: ColumnType<'registry' | 'index', 'registry' | 'index' | undefined, 'registry' | 'index'>
  /** The repository after which the registry's list continues. */
  last_name: string | null
  counts: ColumnType<Record<string, number>, string | undefined, string>
  /** The process that holds the lease on the run until `leased_until`. */
  holder: string
  leased_until: Timestamp
}

/** The rules that make tags of a namespace immutable. A namespace without rules has no row. */
export interface TagRulesTable {
  namespace: string
  rules: JSONColumnType<
    { name: string; repositories: string; tags: string; except?: string[] }[],
    string,
    string
  >
  updated_at: Timestamp
}

/** Usage and quota of a namespace. Triggers keep `bytes` and `repositories` (`2026-12-06-usage-triggers`). */
export interface NamespaceUsageTable {
  namespace: string
  /** Bytes of all digests in `namespace_blobs`, each once. pg reads numeric and bigint as strings: cast in SQL. */
  bytes: Generated<string>
  repositories: Generated<string>
  /** Digests below this one are counted; null if all are. */
  counted_below: Nullable<string>
  /** A running recount has counted the digests below this one; null if none is running. */
  recounted_below: Nullable<string>
  quota_bytes: ColumnType<string | null, number | null | undefined, number | null>
  quota_repositories: ColumnType<string | null, number | null | undefined, number | null>
  soft_bytes: ColumnType<string | null, number | null | undefined, number | null>
  /** When a push crossed the soft limit; null while less is used. */
  soft_crossed_at: NullableTimestamp
}

/** A digest that manifests of a namespace have or reference, with one of the sizes that they state. */
export interface NamespaceBlobsTable {
  namespace: string
  digest: string
  size: ColumnType<string, number, number>
  /** Number of manifests that state this size. */
  uses: ColumnType<string, number, number>
}

/** A time during which a tag named one manifest. A trigger on `tags` writes the rows (`2026-12-07-tag-history`). */
export interface TagHistoryTable {
  id: GeneratedAlways<string>
  repository_id: string
  tag: string
  digest: string
  /** The digest that the tag named before; null if there was no such tag. */
  previous: string | null
  started_at: Timestamp
  /** The principal that set the tag; null if a previous version wrote the row. */
  started_by: JSONColumnType<RequestPrincipal> | null
  /** Null while the tag points to the manifest. */
  ended_at: NullableTimestamp
  ended_by: JSONColumnType<RequestPrincipal> | null
}
