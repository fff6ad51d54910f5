/**
 * The users who may pull a repository: those of its namespace, or every signed-in user. Registry tokens need a scope.
 */
export type RepositoryScope = 'namespace' | 'global'

export interface Repository {
  readonly id: string
  readonly name: string
  readonly scope: RepositoryScope
}

/** A request for one page of a list that is ordered by a key (a name or a digest) in byte order. */
export interface PageRequest {
  /** Maximum number of items of the page. */
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
  /** Only names that contain this string. */
  readonly search?: string
  /** Only names that this namespace covers. */
  readonly namespace?: string
}
