import type { PageRequest, Repository, RepositoryFilter } from './repository.ts'
import type { Visibility } from './visibility.ts'

/** A tag with its manifest as it was pushed, as a string. */
interface TaggedManifest {
  readonly repositoryId: string
  readonly name: string
  readonly manifest: string
}

export interface RepositoryJsonPorts {
  readonly visibleRepositories: {
    listRepositories(visibility: Visibility, page: PageRequest & RepositoryFilter): Promise<Repository[]>
  }
  readonly taggedManifests: {
    /** All tags of some repositories, in the order of the repositories, a bounded amount at a time. */
    readTaggedManifests(repositoryIds: readonly string[]): AsyncIterable<readonly TaggedManifest[]>
  }
}

/** Number of repositories that are read at once if the list has no limit. */
const BATCH = 100

/*
 * Writes repositories as JSON. Manifests are JSON already, so they are written as they were pushed, without parsing.
 * Each piece is read from the index when the client takes it, so memory does not grow with the list.
 */

export async function* writeAllRepositories(
  ports: RepositoryJsonPorts,
  visibility: Visibility,
  { after: first, ...filter }: RepositoryFilter & Pick<PageRequest, 'after'>,
): AsyncGenerator<string> {
  const batches = async function* () {
    for (let after: string | undefined = first; after !== undefined;) {
      const page = { ...filter, limit: BATCH, after }
      const rows: Repository[] = await ports.visibleRepositories.listRepositories(visibility, page)
      if (rows.length > 0) yield rows
      after = rows.length < BATCH ? undefined : rows.at(-1)?.name
    }
  }
  yield* writeList(ports, batches())
}

export function writeRepositories(
  ports: RepositoryJsonPorts,
  repositories: readonly Repository[],
): AsyncGenerator<string> {
  return writeList(ports, [repositories])
}

export function writeRepository(ports: RepositoryJsonPorts, repository: Repository): AsyncGenerator<string> {
  return writeBatch(ports, [repository], '')
}

async function* writeList(
  ports: RepositoryJsonPorts,
  batches: Iterable<readonly Repository[]> | AsyncIterable<readonly Repository[]>,
): AsyncGenerator<string> {
  let before = '{"repositories":['
  for await (const rows of batches) {
    if (rows.length === 0) continue
    yield* writeBatch(ports, rows, before)
    before = ','
  }
  yield before === ',' ? ']}' : `${before}]}`
}

/** Writes one or more repositories, separated by commas, after the string `before`. */
async function* writeBatch(
  { taggedManifests }: RepositoryJsonPorts,
  rows: readonly Repository[],
  before: string,
): AsyncGenerator<string> {
  let text = before
  const opened = rows.map(openRepository)
  let at = -1
  const openNext = () => {
    if (at >= 0) text += ']},'
    at += 1
    text += opened[at]
  }
  for await (const tags of taggedManifests.readTaggedManifests(rows.map(({ id }) => id))) {
    for (const { repositoryId, name, manifest } of tags) {
      const separator = rows[at]?.id === repositoryId ? ',' : ''
      while (rows[at]?.id !== repositoryId) openNext()
      text += `${separator}{"name":${JSON.stringify(name)},"manifest":${manifest}}`
    }
    yield text
    text = ''
  }
  while (at < rows.length - 1) openNext()
  yield `${text}]}`
}

function openRepository({ name, scope }: Repository): string {
  const [owner] = name.split('/')
  return `${JSON.stringify({ name, owner, scope }).slice(0, -1)},"tags":[`
}
