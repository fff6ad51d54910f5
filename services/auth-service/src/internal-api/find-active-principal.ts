import { isPast } from '../registry-tokens/registry-token.ts'
import type { Principal } from '../sign-in/principal.ts'
import { isRegistryToken } from '../sign-in/principal.ts'

export interface FindActivePrincipalPorts {
  findPrincipalById(id: string): Promise<Principal | undefined>
  readonly now: () => number
}

export type FindActivePrincipal = (id: string) => Promise<Principal | undefined>

/** Finds the principal of an account; undefined when it is absent, disabled or expired. */
export function createFindActivePrincipal(ports: FindActivePrincipalPorts): FindActivePrincipal {
  return async (id) => {
    const principal = await ports.findPrincipalById(id)
    if (principal === undefined || !principal.enabled) return undefined
    return isRegistryToken(principal) && isPast(principal.expiresAt, ports.now()) ? undefined : principal
  }
}
