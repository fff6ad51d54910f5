import { requireServiceCredential } from '@registry-manager/http'
import type { FastifyInstance } from 'fastify'
import type { AccountPrincipal } from '../principals/principal.ts'
import { isActive } from '../principals/principal.ts'
import type { InternalRoutesOptions } from './routes.ts'
import { internalRoutes } from './routes.ts'

export interface InternalApiOptions extends Omit<InternalRoutesOptions, 'findActivePrincipal'> {
  readonly serviceCredential: string
  readonly findPrincipalById: (id: string, via?: string) => Promise<AccountPrincipal | undefined>
  /** Milliseconds since the epoch. */
  readonly now: () => number
}

/** Registers the internal API, which requires the service credential. */
export async function registerInternalApi(app: FastifyInstance, options: InternalApiOptions): Promise<void> {
  const { serviceCredential, findPrincipalById, now } = options
  await app.register(async (app) => {
    requireServiceCredential(app, serviceCredential)
    await app.register(internalRoutes, {
      ...options,
      async findActivePrincipal(id, via) {
        const principal = await findPrincipalById(id, via)
        return principal !== undefined && isActive(principal, now()) ? principal : undefined
      },
    })
  })
}
