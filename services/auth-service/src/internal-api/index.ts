import { requireServiceCredential } from '@registry-manager/http'
import type { FastifyInstance } from 'fastify'
import type { FindActivePrincipalPorts } from './find-active-principal.ts'
import { createFindActivePrincipal } from './find-active-principal.ts'
import type { InternalRoutesOptions } from './routes.ts'
import { internalRoutes } from './routes.ts'

export interface InternalApiOptions
  extends FindActivePrincipalPorts, Omit<InternalRoutesOptions, 'findActivePrincipal'> {
  readonly serviceCredential: string
}

/** Registers the internal API for callers with the service credential. */
export async function registerInternalApi(app: FastifyInstance, options: InternalApiOptions): Promise<void> {
  await app.register(async (app) => {
    requireServiceCredential(app, options.serviceCredential)
    await app.register(internalRoutes, {
      ...options,
      findActivePrincipal: createFindActivePrincipal(options),
    })
  })
}
