import { parseJsonBodies, setErrorFormat, setNotFoundFormat } from '@registry-manager/service-kit'
import type { WhoIsAway } from '@registry-manager/service-kit'
import type { FastifyInstance, FastifyRequest } from 'fastify'
import type { CallerOptions } from './caller.ts'
import { onlyAdministrators, requireCaller } from './caller.ts'
import { refuseUnknownFilters } from './filters.ts'
import { neverStored } from './never-stored.ts'
import { notOffered } from './not-offered.ts'
import { BASE, idOf, notFound, providerErrors } from './provider-format.ts'
import type { RegistriesOptions } from './registries.ts'
import { registries } from './registries.ts'
import type { RegistryTokensOptions } from './registry-tokens.ts'
import { registryTokens } from './registry-tokens.ts'

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
