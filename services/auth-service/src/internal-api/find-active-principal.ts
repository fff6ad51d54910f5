import type { Principal } from '../registry-tokens/registry-token.ts'
import { isActive } from '../registry-tokens/registry-token.ts'

export interface FindActivePrincipalPorts {
  findPrincipalById(id: string): Promise<Principal | undefined>
  readonly now: () => number
}

export type FindActivePrincipal = (id: string) => Promise<Principal | undefined>

/** Finds the principal of an account; undefined when it is absent, disabled or expired. */
export function createFindActivePrincipal(ports: FindActivePrincipalPorts): FindActivePrincipal {
  return async (id) => {
    const principal = await ports.findPrincipalById(id)
    return principal !== undefined && isActive(principal, ports.now()) ? principal : undefined
  }
}
