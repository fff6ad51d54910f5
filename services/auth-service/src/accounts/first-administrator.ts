import type { Account, NewAccount } from '../principals/account.ts'
import { isClusterAdministrator } from '../principals/account.ts'
import { passwordFault } from '../principals/password-policy.ts'

export type FirstAdministrator =
  | { readonly outcome: 'created' | 'exists' }
  | { readonly outcome: 'impossible'; readonly reason: string }

export interface FirstAdministratorPorts {
  hasAdministrator(): Promise<boolean>
  find(username: string): Promise<Account | undefined>
  /** Undefined when the username is taken. */
  insert(account: NewAccount): Promise<unknown>
  hashPassword(password: string): Promise<string>
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
  const passwordHash = await ports.hashPassword(secret)
  const role = 'cluster-administrator'
  const created = await ports.insert({
    username,
    directory: false,
    role,
    enabled: true,
    namespaces: [],
    passwordHash,
  })
  if (created !== undefined) return { outcome: 'created' }
  // The name is taken: another replica created the administrator at the same time, or a different account has it.
  const account = await ports.find(username)
  if (account !== undefined && isClusterAdministrator(account)) return { outcome: 'exists' }
  return {
    outcome: 'impossible',
    reason: `${username} is not an enabled cluster administrator: set ADMIN_USERNAME to an unused name`,
  }
}
