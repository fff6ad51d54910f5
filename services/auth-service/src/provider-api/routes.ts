import { parseJsonBodies, setErrorFormat, setNotFoundFormat } from '@registry-manager/http'
import type { UnavailableDependency } from '@registry-manager/http'
import type { FastifyInstance, FastifyRequest } from 'fastify'
import type { PrincipalOptions } from '../sign-in/require-principal.ts'
import { onlyAdministrators, requirePrincipal } from '../sign-in/require-principal.ts'
import { refuseUnknownFilters } from './filters.ts'
import { neverStored } from '../sign-in/never-stored.ts'
import { notOffered } from './not-offered.ts'
import { BASE, idOf, notFound, providerErrors } from './provider-format.ts'
import type { RegistriesOptions } from './registries-routes.ts'
import { registries } from './registries-routes.ts'
import type { RegistryTokensOptions } from '../registry-tokens/routes.ts'
import { registryTokens } from '../registry-tokens/routes.ts'

export interface ContainerRegistriesOptions
  extends PrincipalOptions, Omit<RegistriesOptions, 'registryOf'>, Omit<RegistryTokensOptions, 'registryOf'> {
  readonly unavailableDependency: UnavailableDependency
}

/** Everything under `/containerregistries` (seed 004): for cluster administrators, in the provider's shapes. */
export async function containerRegistries(
  app: FastifyInstance,
  options: ContainerRegistriesOptions,
): Promise<void> {
  const registryOf = async (request: FastifyRequest) => {
    const { id } = await options.findInstallation()
    if (idOf((request.params as { registryId: string }).registryId) !== id) throw notFound('registry')
    return id
  }
  await app.register(
    async (app) => {
      setErrorFormat(app, providerErrors, options.unavailableDependency)
      setNotFoundFormat(app, providerErrors)
      // The provider's SDKs say JSON where there is no body at all.
      parseJsonBodies(app, { allowEmpty: true })
      neverStored(app)
      await requirePrincipal(app, options)
      app.addHook('onRequest', async (request) => onlyAdministrators(request))
      refuseUnknownFilters(app)
      await app.register(registries, { ...options, registryOf })
      await app.register(registryTokens, { ...options, registryOf })
      await app.register(notOffered)
    },
    { prefix: BASE },
  )
}
