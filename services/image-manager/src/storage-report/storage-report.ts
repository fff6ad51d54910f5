import type { Amount, ListingTotals } from '../collection/status.ts'

/** The sums of the last complete listing of the storage. `stored` is the sum of the next five. */
export interface StorageTotals {
  readonly beganAt: Date
  readonly endedAt: Date
  readonly stored: Amount
  readonly known: Amount
  readonly trash: Amount
  readonly condemned: Amount
  readonly recent: Amount
  readonly unknown: Amount
  readonly uploads: ListingTotals['uploads']
}

export interface StorageReport {
  readonly namespaces: number
  readonly repositories: number
  /** Null before the first complete listing. */
  readonly storage: StorageTotals | null
}

/** The size of a namespace, each digest once. */
export interface NamespaceSize {
  readonly namespace: string
  readonly bytes: number
  readonly repositories: number
}

/** The size of a repository, each digest once, and the bytes that its deletion would free. */
export interface RepositorySize {
  readonly repository: string
  readonly manifests: number
  readonly bytes: number
  readonly frees: number
}

export interface StorageReportPorts {
  readonly collectionStatus: { findListing(): Promise<ListingTotals | undefined> }
  readonly storageReport: {
    countAll(): Promise<Pick<StorageReport, 'namespaces' | 'repositories'>>
    /** The data that only the trash names. */
    sumTrash(): Promise<Amount>
    listNamespaces(after: string, limit: number): Promise<readonly NamespaceSize[]>
    listRepositories(
      after: string,
      limit: number,
    ): Promise<readonly { readonly id: string; readonly name: string }[]>
    measureRepository(id: string, name: string): Promise<Omit<RepositorySize, 'repository'>>
  }
  /** Milliseconds of a monotonic clock. */
  readonly monotonic: () => number
}

export interface SizesPage<Entry> {
  readonly items: readonly Entry[]
  /** Null for the last page. */
  readonly next: string | null
}

/** A page of repositories ends early after this time, in milliseconds: a repository may have very many manifests. */
const PAGE_MS = 2000

/** The sizes of the content of the storage, of namespaces and of repositories. */
export function createStorageReport({ collectionStatus, storageReport, monotonic }: StorageReportPorts) {
  return {
    async report(): Promise<StorageReport> {
      const listing = await collectionStatus.findListing()
      const counts = await storageReport.countAll()
      if (listing === undefined) return { ...counts, storage: null }
      return { ...counts, storage: splitTrash(listing, await storageReport.sumTrash()) }
    },

    async listNamespaces(after: string, limit: number): Promise<SizesPage<NamespaceSize>> {
      const items = await storageReport.listNamespaces(after, limit)
      return { items, next: items.length < limit ? null : (items.at(-1)?.namespace ?? null) }
    },

    /** Repositories in the order of their names. */
    async listRepositories(after: string, limit: number): Promise<SizesPage<RepositorySize>> {
      const end = monotonic() + PAGE_MS
      const named = await storageReport.listRepositories(after, limit)
      const items: RepositorySize[] = []
      for (const { id, name } of named) {
        items.push({ repository: name, ...(await storageReport.measureRepository(id, name)) })
        if (monotonic() >= end) break
      }
      const isLast = named.length < limit && items.length === named.length
      return { items, next: isLast ? null : (items.at(-1)?.repository ?? null) }
    },
  }
}

/** Separates the trash from `known`. The trash may have changed since the listing, so it is at most `known`. */
export function splitTrash({ known, ...listing }: ListingTotals, trash: Amount): StorageTotals {
  const of = (name: keyof Amount) => Math.min(known[name], trash[name])
  const inTrash = { blobs: of('blobs'), bytes: of('bytes') }
  return {
    ...listing,
    known: { blobs: known.blobs - inTrash.blobs, bytes: known.bytes - inTrash.bytes },
    trash: inTrash,
  }
}
