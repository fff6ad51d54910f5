import type { UnavailableDependency } from '@registry-manager/http'
import { forbidCaching, parseJsonBodies, problemJson, setErrorFormat } from '@registry-manager/http'
import type { FastifyInstance } from 'fastify'
import type { RequirePrincipalOptions } from './require-principal.ts'
import { requirePrincipal } from './require-principal.ts'

export interface ManagementApiOptions extends RequirePrincipalOptions {
  readonly unavailableDependency: UnavailableDependency
}

/**
 * Sets up the common behaviour of the management APIs: their requests have a principal, bodies are JSON, errors are
 * problems (RFC 9457), and no response is stored. Call it at the beginning of a plugin. `allowEmpty`: a request may
 * state a JSON content type and have no body, as some clients do.
 */
export async function managementApi(
  app: FastifyInstance,
  options: ManagementApiOptions,
  { allowEmpty = false }: { readonly allowEmpty?: boolean } = {},
): Promise<void> {
  setErrorFormat(app, problemJson, options.unavailableDependency)
  forbidCaching(app)
  await requirePrincipal(app, options)
  parseJsonBodies(app, { allowEmpty })
}
