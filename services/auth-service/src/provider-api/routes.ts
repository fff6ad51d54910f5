import type { UnavailableDependency } from '@registry-manager/http'
import {
  forbidCaching,
  parseJsonBodies,
  pathParameter,
  setErrorFormat,
  setNotFoundFormat,
} from '@registry-manager/http'
import type { FastifyInstance, FastifyRequest } from 'fastify'
import type { PrincipalOptions } from '../sign-in/require-principal.ts'
import { onlyAdministrators, requirePrincipal } from '../sign-in/require-principal.ts'
import { notOffered } from './not-offered.ts'
import { BASE, idOf, notFound, providerErrors } from './provider-format.ts'
import { refuseUnknownFilters } from './refuse-unknown-filters.ts'
import type { RegistriesRoutesOptions } from './registries-routes.ts'
import { registriesRoutes } from './registries-routes.ts'

/** Returns the id of this registry if a request's path names it; throws 404 otherwise. */
export type RegistryOf = (request: FastifyRequest) => Promise<string>

export interface ProviderApiRoutesOptions
  extends PrincipalOptions, Omit<RegistriesRoutesOptions, 'registryOf'> {
  readonly unavailableDependency: UnavailableDependency
  /** Registers the routes of registry tokens below `/containerregistries`. */
  readonly registerTokens: (app: FastifyInstance, registryOf: RegistryOf) => Promise<void>
}

/** Everything under `/containerregistries` (seed 004): for cluster administrators, in the provider's shapes. */
export async function providerApiRoutes(
  app: FastifyInstance,
  options: ProviderApiRoutesOptions,
): Promise<void> {
  const { browseRegistry, registerTokens } = options
  const registryOf: RegistryOf = async (request) => {
    const id = await browseRegistry.findId()
    if (idOf(pathParameter(request, 'registryId')) !== id) throw notFound('registry')
    return id
  }
  await app.register(
    async (app) => {
      setErrorFormat(app, providerErrors, options.unavailableDependency)
      setNotFoundFormat(app, providerErrors)
      // The provider's SDKs send a JSON content type even without a body.
      parseJsonBodies(app, { allowEmpty: true })
      forbidCaching(app)
      await requirePrincipal(app, options)
      app.addHook('onRequest', async (request) => onlyAdministrators(request))
      refuseUnknownFilters(app)
      await app.register(registriesRoutes, { ...options, registryOf })
      await registerTokens(app, registryOf)
      await app.register(notOffered)
    },
    { prefix: BASE },
  )
}
