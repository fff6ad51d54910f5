/** The storage of the registry: the blobs of distribution, and the links of its repositories. */
export interface Storage {
  /** Removes the data of blobs. One failure does not stop the others. No removal begins after the time is over. */
  removeBlobs(digests: readonly string[], time: RemovalTime): Promise<Removal>
  /** Number of blobs that one call of `removeBlobs` should remove. The worker pauses between the calls. */
  readonly batch: number
  /** All blobs, in batches that may be empty. Throws if a part of the storage cannot be read. */
  listBlobs(signal: AbortSignal): AsyncIterable<readonly StoredBlob[]>
  /** All links and unfinished uploads of repositories, in batches that may be empty. Throws as `listBlobs` does. */
  listRepositories(signal: AbortSignal): AsyncIterable<readonly RepositoryEntry[]>
  /** Throws if the storage cannot be used. */
  check(): Promise<void>
  close(): void
}

/** The time in which a worker may remove the data of a claim. */
export interface RemovalTime {
  /** Called immediately before each removal. */
  isOver(): boolean
  /** Aborts a request that was sent. */
  readonly signal: AbortSignal
}

export interface Removal {
  /** `bytes` is null if the storage had no data, or does not tell its size. */
  readonly removed: readonly { readonly digest: string; readonly bytes: number | null }[]
  /** Not removed. */
  readonly failed: readonly FailedRemoval[]
  /** A request to remove these was sent, but its outcome is unknown: it may still be executed. */
  readonly unknown: readonly FailedRemoval[]
}

export interface FailedRemoval {
  readonly digest: string
  readonly reason: string
}

export interface StoredBlob {
  readonly digest: string
  readonly bytes: number
  readonly modifiedAt: Date
}

export type RepositoryEntry =
  /**
   * A repository has this blob or manifest. Repositories of the trash are left out: image-manager knows their content,
   * and has forgotten it if its database was restored from an older backup.
   */
  | { readonly kind: 'link'; readonly digest: string }
  | { readonly kind: 'uploads'; readonly count: number; readonly bytes: number }

/** The reason of a removal that was not attempted. */
export const TIME_IS_OVER = 'not attempted: the time of the claim was over, or the worker stopped'
