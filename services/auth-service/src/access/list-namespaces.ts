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

/**
 * Lists namespaces in byte order: all for a cluster administrator, and for others those in which they have rights. The
 * namespace of a grant is the first component of its repositories.
 */
export function createListNamespaces(ports: {
  readonly listNamespaces: (page: KeysetPage) => Promise<string[]>
}): ListNamespaces {
  return async (rights, page, context) => {
    const names =
      rights.role === 'cluster-administrator' ? await ports.listNamespaces(page) : ownNamespaces(rights, page)
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
