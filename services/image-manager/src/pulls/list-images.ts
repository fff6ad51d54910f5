/** A tag with its pulls. */
export interface ListedTag {
  readonly name: string
  readonly digest: string
  /** When the tag was last pushed. */
  readonly pushedAt: Date
  readonly pulls: number
  readonly lastPulledAt: Date | null
}

/** A manifest with its number of pulls by its digest or by a tag. */
export interface ListedManifest {
  readonly digest: string
  readonly mediaType: string
  readonly artifactType: string | null
  readonly subject: string | null
  /** Bytes of the manifest itself. */
  readonly size: number
  readonly tags: readonly string[]
  readonly pushedAt: Date
  readonly pulls: number
  readonly lastPulledAt: Date | null
}

export interface ListPage {
  readonly limit: number
  /** The page starts after this tag or digest. */
  readonly after: string
}

export interface ListImagesPorts {
  readonly lists: {
    listTags(repositoryId: string, page: ListPage): Promise<readonly ListedTag[]>
    listManifests(repositoryId: string, page: ListPage): Promise<readonly ListedManifest[]>
  }
}

export interface ListImages {
  tags(repositoryId: string, page: ListPage): Promise<FoundPage<ListedTag>>
  manifests(repositoryId: string, page: ListPage): Promise<FoundPage<ListedManifest>>
}

export interface FoundPage<Item> {
  readonly items: readonly Item[]
  /** The value of `after` for the next page; null on the last page. */
  readonly next: string | null
}

/** Lists the tags and the manifests of a repository, in byte order, in pages. */
export function createListImages({ lists }: ListImagesPorts): ListImages {
  return {
    async tags(repositoryId, { limit, after }) {
      const found = await lists.listTags(repositoryId, { limit: limit + 1, after })
      return cut(found, limit, ({ name }) => name)
    },
    async manifests(repositoryId, { limit, after }) {
      const found = await lists.listManifests(repositoryId, { limit: limit + 1, after })
      return cut(found, limit, ({ digest }) => digest)
    },
  }
}

/** One item more than the page shows whether another page follows. */
function cut<Item>(found: readonly Item[], limit: number, keyOf: (item: Item) => string): FoundPage<Item> {
  const items = found.slice(0, limit)
  const last = items.at(-1)
  return { items, next: found.length > limit && last !== undefined ? keyOf(last) : null }
}
