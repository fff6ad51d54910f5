import type { ArtifactContents, RepositoryContents, UsageResponse } from '@registry-manager/principal'
import type { Static } from 'typebox'

export type Repository = Static<typeof RepositoryContents>
export type Artifact = Static<typeof ArtifactContents>
export type Usage = Static<typeof UsageResponse>

export interface ListOptions {
  readonly offset: number
  readonly limit: number
  /** A field's name; a leading minus reverses the order. */
  readonly orderBy: string
}

export interface RepositoriesRequest extends ListOptions {
  /** A part of the name. */
  readonly search?: string | undefined
  /** The whole name. */
  readonly name?: string
}

export interface ArtifactsRequest extends ListOptions {
  /** All repositories when left out. */
  readonly repository?: string
  readonly digest?: string
}

export interface BrowseRegistryPorts {
  readonly installation: {
    find(): Promise<{ readonly id: string; readonly createdAt: Date }>
  }
  readonly contents: {
    repositories(
      request: RepositoriesRequest,
    ): Promise<{ readonly repositories: readonly Repository[]; readonly total: number }>
    /** Undefined when there is no such repository. */
    artifacts(
      request: ArtifactsRequest,
    ): Promise<{ readonly artifacts: readonly Artifact[]; readonly total: number } | undefined>
    /** Undefined while image-manager does not respond. */
    usage(): Promise<Usage | undefined>
  }
}

/** A page of a list, and the number of items of the whole list. */
export interface ContentsPage<Item> {
  readonly items: readonly Item[]
  readonly total: number
}

export interface BrowseRegistry {
  /** The id of the registry. */
  findId(): Promise<string>
  registry(): Promise<{ readonly id: string; readonly createdAt: Date; readonly usage: Usage }>
  repositories(request: ListOptions & Pick<RepositoriesRequest, 'search'>): Promise<ContentsPage<Repository>>
  repository(name: string): Promise<Repository | undefined>
  artifacts(request: ListOptions): Promise<ContentsPage<Artifact>>
  /** Undefined when there is no such repository. */
  artifactsOf(repository: string, request: ListOptions): Promise<ContentsPage<Artifact> | undefined>
  artifact(repository: string, digest: string): Promise<Artifact | undefined>
}

const FIRST = { offset: 0, limit: 1, orderBy: 'name' }

/** Reads this installation as the one registry of the provider's API: its usage, repositories and artifacts. */
export function createBrowseRegistry({ installation, contents }: BrowseRegistryPorts): BrowseRegistry {
  return {
    findId: async () => (await installation.find()).id,

    /** The registry is shown even while its usage is unknown. */
    async registry() {
      const { id, createdAt } = await installation.find()
      const usage: Usage = (await contents.usage()) ?? { bytes: null, updatedAt: null }
      return { id, createdAt, usage }
    },

    async repositories(request) {
      const { repositories, total } = await contents.repositories(request)
      return { items: repositories, total }
    },

    async repository(name) {
      const { repositories } = await contents.repositories({ ...FIRST, name })
      return repositories[0]
    },

    async artifacts(request) {
      const found = await contents.artifacts(request)
      return { items: found?.artifacts ?? [], total: found?.total ?? 0 }
    },

    async artifactsOf(repository, request) {
      const found = await contents.artifacts({ ...request, repository })
      return found && { items: found.artifacts, total: found.total }
    },

    async artifact(repository, digest) {
      const found = await contents.artifacts({ ...FIRST, repository, digest })
      return found?.artifacts[0]
    },
  }
}
