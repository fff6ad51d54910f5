import type { RequestPrincipal } from '@registry-manager/http'

/** A time during which a tag named one manifest. */
export interface TagPeriod {
  /** Grows with time. Null for a tag whose history begins with its next change. */
  readonly id: string | null
  readonly digest: string
  /** The digest that the tag named before; null if the tag is new, or if that digest is not known. */
  readonly previous: string | null
  readonly startedAt: Date
  /** Null if it is not known. */
  readonly startedBy: RequestPrincipal | null
  /** Null while the tag points to the manifest. */
  readonly endedAt: Date | null
  readonly endedBy: RequestPrincipal | null
  /** Whether the repository still has the manifest. */
  readonly exists: boolean
}

export interface HistoryPage {
  readonly limit: number
  /** The page starts after the period with this id; the newest period comes first. */
  readonly before?: string | undefined
}

export interface ListTagHistoryPorts {
  readonly tagHistory: {
    listPeriods(repositoryId: string, tag: string, page: HistoryPage): Promise<readonly TagPeriod[]>
  }
}

/** One page of the history of a tag. `next`: the id after which the next page starts. */
export async function listTagHistory(
  { tagHistory }: ListTagHistoryPorts,
  repositoryId: string,
  tag: string,
  { limit, before }: HistoryPage,
): Promise<{ readonly items: readonly TagPeriod[]; readonly next: string | null }> {
  // One more than the page shows whether another page follows.
  const periods = await tagHistory.listPeriods(repositoryId, tag, { limit: limit + 1, before })
  const items = periods.slice(0, limit)
  return { items, next: periods.length > limit ? (items.at(-1)?.id ?? null) : null }
}
