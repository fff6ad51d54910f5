import type { Account } from '../principals/account.ts'
import { isClusterAdministrator } from '../principals/account.ts'
import { passwordFault } from '../principals/password-policy.ts'
import type { ChangeResult } from './change-account.ts'
import type { UserPlan } from './plan-user.ts'

export type FirstAdministrator =
  | { readonly outcome: 'created' | 'exists' }
  | { readonly outcome: 'impossible'; readonly reason: string }

export interface FirstAdministratorPorts {
  hasAdministrator(): Promise<boolean>
  find(username: string): Promise<Account | undefined>
  create(plan: UserPlan): Promise<ChangeResult>
}

/** Creates a cluster administrator if none is enabled. `password` is called only then, since it may generate one. */
export async function ensureFirstAdministrator(
  ports: FirstAdministratorPorts,
  username: string,
  password: () => string | undefined,
): Promise<FirstAdministrator> {
  if (await ports.hasAdministrator()) return { outcome: 'exists' }
  const secret = password()
  if (secret === undefined) {
    return { outcome: 'impossible', reason: 'there is no cluster administrator: set ADMIN_PASSWORD' }
  }
  const fault = passwordFault(secret, username)
  if (fault !== undefined) return { outcome: 'impossible', reason: `ADMIN_PASSWORD ${fault}` }
  const created = await ports.create({
    username,
    directory: false,
    role: 'cluster-administrator',
    enabled: true,
    namespaces: [],
    password: secret,
  })
  if ('user' in created) return { outcome: 'created' }
  // The name is taken: another replica created the administrator at the same time, or a different account has it.
  const account = await ports.find(username)
  if (account !== undefined && isClusterAdministrator(account)) return { outcome: 'exists' }
  return {
    outcome: 'impossible',
    reason: `${username} is not an enabled cluster administrator: set ADMIN_USERNAME to an unused name`,
  }
}
