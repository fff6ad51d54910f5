import type { IndexQueries, RepositoryRow } from '../adapters/index-queries.ts'
import type { Visibility } from '../domain/visibility.ts'

/** How many repositories are read at once: what is in memory of a list, however long it is. */
const BATCH = 50

export interface ListFilter {
  /** Only what is below a namespace. */
  readonly namespace?: string
  readonly search?: string
  /** The name after which the list begins. */
  readonly last: string
}

/**
 * The list of repositories as JSON, in one page or as a stream. Manifests are written as they were pushed,
 * without being parsed: they are JSON already.
 */
export function listRepositories(queries: IndexQueries, visibility: Visibility, filter: ListFilter) {
  const batches = async function* (atMost: number) {
    let after = filter.last
    for (let left = atMost; left > 0;) {
      const rows = await queries.listRepositories(visibility, {
        ...filter,
        limit: Math.min(BATCH, left),
        after,
      })
      if (rows.length === 0) return
      yield { rows, texts: await writeAll(queries, rows) }
      after = rows.at(-1)?.name ?? after
      left -= rows.length
    }
  }
  return {
    async page(limit: number): Promise<{ body: string; next: string | undefined }> {
      const texts: string[] = []
      let last: string | undefined
      for await (const batch of batches(limit)) {
        texts.push(...batch.texts)
        last = batch.rows.at(-1)?.name
      }
      const full = texts.length === limit && last !== undefined
      const after = full
        ? await queries.listRepositories(visibility, { ...filter, limit: 1, after: last ?? '' })
        : []
      return { body: `{"repositories":[${texts.join(',')}]}`, next: after.length > 0 ? last : undefined }
    },

    async *stream(): AsyncGenerator<string> {
      let separator = '{"repositories":['
      for await (const { texts } of batches(Infinity)) {
        yield separator + texts.join(',')
        separator = ','
      }
      yield separator === ',' ? ']}' : `${separator}]}`
    },
  }
}

/** One repository as JSON. */
export async function writeRepository(queries: IndexQueries, repository: RepositoryRow): Promise<string> {
  const [text = ''] = await writeAll(queries, [repository])
  return text
}

async function writeAll(queries: IndexQueries, rows: readonly RepositoryRow[]): Promise<string[]> {
  const tags = new Map<string, string[]>(rows.map(({ id }) => [id, []]))
  for (const { repositoryId, name, raw } of await queries.listTaggedManifests(rows.map(({ id }) => id))) {
    tags
      .get(repositoryId)
      ?.push(`{"name":${JSON.stringify(name)},"manifest":${Buffer.from(raw).toString('utf8')}}`)
  }
  return rows.map(({ id, name, scope }) => {
    const [owner] = name.split('/')
    const head = JSON.stringify({ name, owner, scope }).slice(0, -1)
    return `${head},"tags":[${tags.get(id)?.join(',')}]}`
  })
}
