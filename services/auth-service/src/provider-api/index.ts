import type { Database } from '@registry-manager/database'
import type { UnavailableDependency } from '@registry-manager/http'
import { ServiceCallError, createServiceClient } from '@registry-manager/http'
import type { FastifyInstance } from 'fastify'
import { createBrowseRegistry } from './browse-registry.ts'
import { createImageManagerClient } from './image-manager-client.ts'
import { createInstallationRepository } from './installation-repository.ts'
import type { ProviderApiRoutesOptions } from './routes.ts'
import { providerApiRoutes } from './routes.ts'

export interface ProviderApiConfig {
  readonly imageManagerUrl: string
  readonly serviceCredential: string
  /** `host[:port]` of the public URL. */
  readonly issuer: string
}

/** The provider's API: registries, repositories and artifacts of this installation. */
export function createProviderApi(
  { imageManagerUrl, serviceCredential, issuer }: ProviderApiConfig,
  db: Database,
) {
  const imageManager = createServiceClient({
    dependency: 'image-manager',
    url: imageManagerUrl,
    credential: serviceCredential,
    // A list takes longer than the lookups of a sign-in (1 second).
    timeoutMs: 5000,
  })
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
        unavailableDependency: withImageManager(options.unavailableDependency),
      }),
  }
}

/** These routes are the only ones that fail when image-manager does. */
function withImageManager(unavailableDependency: UnavailableDependency): UnavailableDependency {
  return (error) =>
    unavailableDependency(error) ?? (error instanceof ServiceCallError ? error.dependency : undefined)
}
