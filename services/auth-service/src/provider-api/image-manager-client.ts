import type { ServiceClient } from '@registry-manager/http'
import { ServiceCallError, undefinedIfNotFound } from '@registry-manager/http'
import { ArtifactsContents, RepositoriesContents, UsageResponse } from '@registry-manager/principal'
import type { ArtifactsRequest, BrowseRegistryPorts, RepositoriesRequest } from './browse-registry.ts'

/** Reads the contents of the registry from image-manager's index. */
export function createImageManagerClient(imageManager: ServiceClient): BrowseRegistryPorts['contents'] {
  return {
    repositories: (request: RepositoriesRequest) =>
      imageManager.get(pathOf('repositories', { ...request }), RepositoriesContents),

    artifacts: (request: ArtifactsRequest) =>
      undefinedIfNotFound(imageManager.get(pathOf('artifacts', { ...request }), ArtifactsContents)),

    async usage() {
      try {
        return await imageManager.get('/internal/contents/usage', UsageResponse)
      } catch (error) {
        if (error instanceof ServiceCallError) return undefined
        throw error
      }
    },
  }
}

function pathOf(resource: string, parameters: Readonly<Record<string, string | number | undefined>>): string {
  const defined = Object.entries(parameters).filter(([, value]) => value !== undefined)
  const query = new URLSearchParams(defined.map(([name, value]) => [name, `${value}`]))
  return `/internal/contents/${resource}?${query}`
}
