import type { Page, PageRequest, Repository } from './repository.ts'
import type { ConditionContext, PrincipalRights, RightsQuery } from '@registry-manager/principal'
import type { Visibility } from './visibility.ts'
import { catalogVisibility } from './visibility.ts'

export interface ListCatalogPorts {
  readonly findAccount: (reader: RightsQuery) => Promise<PrincipalRights | undefined>
  readonly visibleRepositories: {
    listRepositories(visibility: Visibility, page: PageRequest): Promise<Repository[]>
  }
}

export interface ListNamespacesPorts {
  readonly visibleRepositories: { listNamespaces(page: PageRequest): Promise<string[]> }
}

export interface ListTagsPorts {
  readonly repositories: { findRepository(name: string): Promise<Repository | undefined> }
  readonly tags: { listTags(repositoryId: string, page: PageRequest): Promise<string[]> }
}

const EMPTY: Page<string> = { items: [], next: undefined }

/** One page of the names of the repositories that a reader sees; empty if there is no such account. */
export async function listCatalog(
  { findAccount, visibleRepositories }: ListCatalogPorts,
  reader: RightsQuery,
  page: PageRequest,
  context: ConditionContext,
): Promise<Page<string>> {
  const account = await findAccount(reader)
  if (account === undefined) return EMPTY
  return readPage(page, async (request) => {
    const visibility = catalogVisibility(account, context)
    const rows = await visibleRepositories.listRepositories(visibility, request)
    return rows.map(({ name }) => name)
  })
}

/** One page of the namespaces that have repositories: the first components of their names. */
export async function listNamespaces(
  { visibleRepositories }: ListNamespacesPorts,
  page: PageRequest,
): Promise<Page<string>> {
  return readPage(page, visibleRepositories.listNamespaces)
}

/** One page of the tags of a repository; undefined if there is no such repository. */
export async function listTags(
  { repositories, tags }: ListTagsPorts,
  name: string,
  page: PageRequest,
): Promise<Page<string> | undefined> {
  const repository = await repositories.findRepository(name)
  return repository && readPage(page, (request) => tags.listTags(repository.id, request))
}

/** Reads one name more than the page has, which shows whether another page follows. */
async function readPage(
  { limit, after }: PageRequest,
  read: (page: PageRequest) => Promise<readonly string[]>,
): Promise<Page<string>> {
  if (limit === 0) return EMPTY
  const names = await read({ limit: limit + 1, after })
  const items = names.slice(0, limit)
  return { items, next: names.length > limit ? items.at(-1) : undefined }
}
