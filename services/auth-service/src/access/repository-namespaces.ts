import type { ServiceClient } from '@registry-manager/http'
import { undefinedIfNotFound } from '@registry-manager/http'
import { NamesPage } from '@registry-manager/principal'
import type { KeysetPage } from './page.ts'

/**
 * Reads the namespaces that have repositories from image-manager, in byte order. A previous version of image-manager
 * does not know them. Throws ServiceCallError while image-manager is unavailable.
 */
export function createRepositoryNamespaces(imageManager: ServiceClient) {
  return async ({ after = '', limit }: KeysetPage): Promise<readonly string[]> => {
    const query = new URLSearchParams({ last: after, n: `${limit}` })
    const page = await undefinedIfNotFound(imageManager.get(`/internal/namespaces?${query}`, NamesPage))
    return page?.names ?? []
  }
}
