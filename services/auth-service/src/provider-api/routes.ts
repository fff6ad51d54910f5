import { parseJsonBodies, setErrorFormat, setNotFoundFormat } from '@registry-manager/http'
import type { WhoIsAway } from '@registry-manager/http'
import type { FastifyInstance, FastifyRequest } from 'fastify'
import type { CallerOptions } from '../sign-in/require-principal.ts'
import { onlyAdministrators, requireCaller } from '../sign-in/require-principal.ts'
import { refuseUnknownFilters } from './filters.ts'
import { neverStored } from '../sign-in/never-stored.ts'
import { notOffered } from './not-offered.ts'
import { BASE, idOf, notFound, providerErrors } from './provider-format.ts'
import type { RegistriesOptions } from './registries-routes.ts'
import { registries } from './registries-routes.ts'
import type { RegistryTokensOptions } from '../registry-tokens/routes.ts'
import { registryTokens } from '../registry-tokens/routes.ts'

export interface ContainerRegistriesOptions
  extends CallerOptions, Omit<RegistriesOptions, 'registryOf'>, Omit<RegistryTokensOptions, 'registryOf'> {
  readonly whoIsAway: WhoIsAway
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
      setErrorFormat(app, providerErrors, options.whoIsAway)
      setNotFoundFormat(app, providerErrors)
      // The provider's SDKs say JSON where there is no body at all.
      parseJsonBodies(app, { allowEmpty: true })
      neverStored(app)
      await requireCaller(app, options)
      app.addHook('onRequest', async (request) => onlyAdministrators(request))
      refuseUnknownFilters(app)
      await app.register(registries, { ...options, registryOf })
      await app.register(registryTokens, { ...options, registryOf })
      await app.register(notOffered)
    },
    { prefix: BASE },
  )
}
