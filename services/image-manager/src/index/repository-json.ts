import type { IndexQueries, RepositoryRow } from './index-queries.ts'
import type { Visibility } from './visibility.ts'

/** How many repositories are read at once, where a list has no end of its own. */
const BATCH = 100

export interface ListFilter {
  /** Only what is below a namespace. */
  readonly namespace?: string
  readonly search?: string
  /** The name after which the list begins. */
  readonly last: string
}

/**
 * The list of repositories as JSON, in one page or whole. Manifests are written as they were pushed, without
 * being parsed: they are JSON already. What is written is read while it is written, a bounded piece at a time.
 */
export function listRepositories(queries: IndexQueries, visibility: Visibility, filter: ListFilter) {
  const batches = async function* () {
    for (let after: string | undefined = filter.last; after !== undefined;) {
      const page = { ...filter, limit: BATCH, after }
      const rows: RepositoryRow[] = await queries.listRepositories(visibility, page)
      if (rows.length > 0) yield rows
      after = rows.length < BATCH ? undefined : rows.at(-1)?.name
    }
  }
  return {
    /** `next` is the name after which the next page begins, where there is one. */
    async page(limit: number): Promise<{ body: AsyncGenerator<string>; next: string | undefined }> {
      const page = { ...filter, limit: limit + 1, after: filter.last }
      const rows = await queries.listRepositories(visibility, page)
      const next = rows.length > limit ? rows[limit - 1]?.name : undefined
      return { body: writeList(queries, [rows.slice(0, limit)]), next }
    },

    whole: () => writeList(queries, batches()),
  }
}

/** One repository as JSON. */
export function writeRepository(queries: IndexQueries, repository: RepositoryRow): AsyncGenerator<string> {
  return writeAll(queries, [repository], '')
}

async function* writeList(
  queries: IndexQueries,
  batches: Iterable<RepositoryRow[]> | AsyncIterable<RepositoryRow[]>,
): AsyncGenerator<string> {
  let before = '{"repositories":['
  for await (const rows of batches) {
    if (rows.length === 0) continue
    yield* writeAll(queries, rows, before)
    before = ','
  }
  yield before === ',' ? ']}' : `${before}]}`
}

/** Repositories (one or more) as JSON, separated by commas, behind some text. */
async function* writeAll(
  queries: IndexQueries,
  rows: readonly RepositoryRow[],
  before: string,
): AsyncGenerator<string> {
  let text = before
  const opened = rows.map(openRepository)
  let at = -1
  const goOn = () => {
    if (at >= 0) text += ']},'
    at += 1
    text += opened[at]
  }
  for await (const tags of queries.readTaggedManifests(rows.map(({ id }) => id))) {
    for (const { repositoryId, name, manifest } of tags) {
      const separator = rows[at]?.id === repositoryId ? ',' : ''
      while (rows[at]?.id !== repositoryId) goOn()
      text += `${separator}{"name":${JSON.stringify(name)},"manifest":${manifest}}`
    }
    yield text
    text = ''
  }
  while (at < rows.length - 1) goOn()
  yield `${text}]}`
}

function openRepository({ name, scope }: RepositoryRow): string {
  const [owner] = name.split('/')
  return `${JSON.stringify({ name, owner, scope }).slice(0, -1)},"tags":[`
}
