/** A request for one page of a list by its position in the list, as in the provider's API. */
export interface OffsetPageRequest {
  readonly offset: number
  readonly limit: number
  /** A field name; with a minus before it, the greatest value comes first. An unknown field counts as the default. */
  readonly orderBy: string
}

/** One page of a list, and the length of the whole list. */
export interface CountedPage<Item> {
  readonly items: readonly Item[]
  readonly total: number
}

/** The number of pulls, and the time of the last one. */
export interface PulledContents {
  readonly pulls: number
  readonly lastPulledAt: Date | null
}

export interface RepositoryContents extends PulledContents {
  readonly name: string
  readonly createdAt: Date
  /** When the repository was changed last, which is nearly always a push. */
  readonly pushedAt: Date
  /** Number of manifests. */
  readonly artifacts: number
}

export interface ArtifactContents extends PulledContents {
  readonly repository: string
  readonly digest: string
  readonly mediaType: string
  readonly tags: readonly string[]
  readonly pushedAt: Date
}

export type RepositoriesQuery = OffsetPageRequest & {
  /** Only names that contain this string. */
  readonly search?: string
  readonly name?: string
}

export type ArtifactsQuery = OffsetPageRequest & { readonly repository?: string; readonly digest?: string }

export interface ListContentsPorts {
  readonly contents: {
    listRepositories(query: RepositoriesQuery): Promise<CountedPage<RepositoryContents>>
    listArtifacts(query: ArtifactsQuery): Promise<CountedPage<ArtifactContents>>
    hasRepository(name: string): Promise<boolean>
  }
}

export interface ListContents {
  repositories(query: RepositoriesQuery): Promise<CountedPage<RepositoryContents>>
  /** The manifests of one repository or of all. Undefined if the one repository does not exist. */
  artifacts(query: ArtifactsQuery): Promise<CountedPage<ArtifactContents> | undefined>
}

/** Lists the registry's contents for administrators. */
export function createListContents({ contents }: ListContentsPorts): ListContents {
  return {
    repositories: (query) => contents.listRepositories(query),
    async artifacts(query) {
      const { repository } = query
      if (repository !== undefined && !(await contents.hasRepository(repository))) return undefined
      return contents.listArtifacts(query)
    },
  }
}
