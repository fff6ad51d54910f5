/** Who may pull a repository: users of its namespace, or every signed-in user. Registry tokens need a scope. */
export type RepositoryScope = 'namespace' | 'global'

export interface Repository {
  readonly id: string
  readonly name: string
  readonly scope: RepositoryScope
}

/** Asks for one page of a list that is ordered by a key (a name or a digest) in byte order. */
export interface PageRequest {
  /** The most items that the page may have. */
  readonly limit: number
  /** The page starts after this key; empty for the first page. */
  readonly after: string
}

export interface Page<Item> {
  readonly items: readonly Item[]
  /** The key after which the next page starts; undefined for the last page. */
  readonly next: string | undefined
}

/** Restricts a list of repositories. */
export interface RepositoryFilter {
  /** Only names that contain this text. */
  readonly search?: string
  /** Only names that this namespace covers. */
  readonly namespace?: string
}
