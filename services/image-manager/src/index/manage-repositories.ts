import type { ProtectedTag } from '../immutability/tag-rule.ts'
import type { Action, RequestRights } from '../management-api/authorize.ts'
import { authorize, mayList } from '../management-api/authorize.ts'
import type { PageRequest, Repository, RepositoryFilter, RepositoryScope } from './repository.ts'
import type { RepositoryJsonPorts } from './repository-json.ts'
import { writeAllRepositories, writeRepositories, writeRepository } from './repository-json.ts'
import { managementVisibility } from './visibility.ts'

export type ManageRepositoriesPorts = RepositoryJsonPorts & {
  readonly repositories: {
    findRepository(name: string): Promise<Repository | undefined>
    findBeingDeleted(name: string): Promise<Repository | undefined>
    setScope(repositoryId: string, scope: RepositoryScope): Promise<void>
  }
  readonly blobs: { hasBlobs(repository: string): Promise<boolean> }
  readonly deletions: {
    /** Adds a row for a repository that only the registry knows. */
    ensureRepository(repository: string): Promise<void>
  }
  readonly registry: { listTags(repository: string): Promise<readonly string[]> }
  readonly deleteRepository: (name: string) => Promise<ProtectedTag | undefined>
}

export type FoundRepository =
  | { readonly outcome: 'allowed'; readonly repository: Repository }
  | { readonly outcome: 'forbidden' | 'insufficient' | 'not-visible' }

/** A list of repositories as JSON in pieces, each read from the index when the client takes it. */
export interface RepositoriesJson {
  readonly json: AsyncIterable<string>
  /** The name after which the next page starts. */
  readonly next?: string
}

export interface ManageRepositories {
  /**
   * Lists the repositories that the principal sees: one page, or everything if no limit is given. Undefined if it may
   * not list.
   */
  list(
    requestRights: RequestRights,
    page: RepositoryFilter & Partial<PageRequest>,
  ): Promise<RepositoriesJson | undefined>
  /** Finds a repository on which the principal may do the action. */
  find(requestRights: RequestRights, action: Action, name: string): Promise<FoundRepository>
  write(repository: Repository): AsyncIterable<string>
  setScope(repository: Repository, scope: RepositoryScope): Promise<void>
  /** Returns an immutable tag of the repository, if it has one; then nothing is deleted. */
  delete(repository: Repository): Promise<ProtectedTag | undefined>
}

/** Image management: lists, reads, shares and deletes repositories. */
export function createManageRepositories(ports: ManageRepositoriesPorts): ManageRepositories {
  const { repositories, blobs, deletions, registry, visibleRepositories, deleteRepository } = ports

  /**
   * Finds a repository that can only be deleted: its deletion was interrupted, it has blobs but never had a manifest,
   * or the index refuses its manifests. Calls the registry only for a principal that may delete the repository.
   */
  const findDeletable = async (
    requestRights: RequestRights,
    name: string,
  ): Promise<Repository | undefined> => {
    const interrupted = await repositories.findBeingDeleted(name)
    if (interrupted !== undefined) return interrupted
    if (await blobs.hasBlobs(name)) return { id: '', name, scope: 'namespace' }
    if (authorize(requestRights, 'delete', name, 'namespace') !== 'allowed') return undefined
    if ((await registry.listTags(name)).length === 0) return undefined
    await deletions.ensureRepository(name)
    return repositories.findRepository(name)
  }

  return {
    async list(requestRights, { limit, after = '', ...filter }) {
      if (!mayList(requestRights)) return undefined
      const visibility = managementVisibility(requestRights.rights, requestRights.context)
      if (limit === undefined) return { json: writeAllRepositories(ports, visibility, { ...filter, after }) }
      // One more than the page shows whether another page follows.
      const rows = await visibleRepositories.listRepositories(visibility, {
        ...filter,
        after,
        limit: limit + 1,
      })
      const json = writeRepositories(ports, rows.slice(0, limit))
      return { json, next: rows.length > limit ? rows[limit - 1]?.name : undefined }
    },

    async find(requestRights, action, name) {
      const repository =
        (await repositories.findRepository(name)) ??
        (action === 'delete' ? await findDeletable(requestRights, name) : undefined)
      const verdict = authorize(requestRights, action, name, repository?.scope)
      if (verdict !== 'allowed') return { outcome: verdict }
      return repository === undefined ? { outcome: 'not-visible' } : { outcome: 'allowed', repository }
    },

    write: (repository) => writeRepository(ports, repository),
    setScope: ({ id }, scope) => repositories.setScope(id, scope),
    delete: ({ name }) => deleteRepository(name),
  }
}
