import type { ServiceClient } from '@registry-manager/http'
import { ArtifactsContents, RepositoriesContents, UsageAnswer } from '@registry-manager/principal'
import { ServiceCallError } from '@registry-manager/http'
import type { Static } from 'typebox'

export interface ContentsPage {
  readonly offset: number
  readonly limit: number
  /** A field, with a minus before it for the greatest first. */
  readonly orderBy: string
}

export type RegistryContents = ReturnType<typeof createRegistryContents>

/** What is in the registry, as image-manager knows it. Throws ServiceCallError when it does not answer. */
export function createRegistryContents(imageManager: ServiceClient) {
  const pathOf = (what: string, parameters: Readonly<Record<string, string | number | undefined>>) => {
    const given = Object.entries(parameters).filter(([, value]) => value !== undefined)
    return `/internal/contents/${what}?${new URLSearchParams(given.map(([name, value]) => [name, `${value}`]))}`
  }
  return {
    /** `search` is a part of the name, `name` all of it. */
    repositories: (
      asked: ContentsPage & { search?: string; name?: string },
    ): Promise<Static<typeof RepositoriesContents>> =>
      imageManager.get(pathOf('repositories', { ...asked }), RepositoriesContents),

    /** Of one repository, or of all of them. Undefined when there is no such repository. */
    async artifacts(
      asked: ContentsPage & { repository?: string; digest?: string },
    ): Promise<Static<typeof ArtifactsContents> | undefined> {
      try {
        return await imageManager.get(pathOf('artifacts', { ...asked }), ArtifactsContents)
      } catch (error) {
        if (error instanceof ServiceCallError && error.status === 404) return undefined
        throw error
      }
    },

    usage: (): Promise<Static<typeof UsageAnswer>> =>
      imageManager.get('/internal/contents/usage', UsageAnswer),
  }
}
