import type { Database } from '@registry-manager/database'
import type { ServiceClient } from '@registry-manager/http'
import type { FastifyInstance } from 'fastify'
import { createBrowseRegistry } from './browse-registry.ts'
import { createImageManagerClient } from './image-manager-client.ts'
import { createInstallationRepository } from './installation-repository.ts'
import type { ProviderApiRoutesOptions } from './routes.ts'
import { providerApiRoutes } from './routes.ts'

export interface ProviderApiConfig {
  readonly imageManager: ServiceClient
  /** `host[:port]` of the public URL. */
  readonly issuer: string
}

/** The provider's API: registries, repositories and artifacts of this installation. */
export function createProviderApi({ imageManager, issuer }: ProviderApiConfig, db: Database) {
  const browseRegistry = createBrowseRegistry({
    installation: createInstallationRepository(db),
    contents: createImageManagerClient(imageManager),
  })
  return {
    register: (
      app: FastifyInstance,
      options: Omit<ProviderApiRoutesOptions, 'browseRegistry' | 'hostname'>,
    ) =>
      app.register(providerApiRoutes, {
        ...options,
        browseRegistry,
        hostname: issuer,
      }),
  }
}
