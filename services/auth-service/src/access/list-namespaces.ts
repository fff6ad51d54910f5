import type { ConditionContext, UserRights } from '@registry-manager/principal'
import { mayManageNamespace } from '@registry-manager/principal'
import type { KeysetPage } from './page.ts'

export interface ListedNamespace {
  readonly name: string
  /** Whether the principal manages it. */
  readonly manage: boolean
}

export type ListNamespaces = (
  rights: UserRights,
  page: KeysetPage,
  context: ConditionContext,
) => Promise<ListedNamespace[]>

export interface ListNamespacesPorts {
  /** The namespaces that a user or a grant names. */
  listNamespaces(page: KeysetPage): Promise<readonly string[]>
  /** The namespaces that have repositories. */
  listRepositoryNamespaces(page: KeysetPage): Promise<readonly string[]>
}

/**
 * Lists namespaces in byte order: all for a cluster administrator, and for others those in which they have rights. The
 * namespace of a grant or of a repository is the first component of its name.
 */
export function createListNamespaces(ports: ListNamespacesPorts): ListNamespaces {
  const listAll = async (page: KeysetPage) => {
    const lists = await Promise.all([ports.listNamespaces(page), ports.listRepositoryNamespaces(page)])
    return [...new Set(lists.flat())].toSorted().slice(0, page.limit)
  }

  return async (rights, page, context) => {
    const names = rights.role === 'cluster-administrator' ? await listAll(page) : ownNamespaces(rights, page)
    return names.map((name) => ({ name, manage: mayManageNamespace(rights, name, context) }))
  }
}

function ownNamespaces({ namespaces, grants = [] }: UserRights, { after = '', limit }: KeysetPage): string[] {
  const granted = grants.flatMap(({ repositories }) =>
    repositories.includes('/') ? (repositories.split('/', 1)[0] ?? []) : [],
  )
  return [...new Set([...namespaces, ...granted])]
    .toSorted()
    .filter((name) => name > after)
    .slice(0, limit)
}
