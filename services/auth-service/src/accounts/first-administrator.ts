import type { Database } from '@registry-manager/database'
import { isUniqueViolation } from '@registry-manager/database'
import { isAdministrator } from './plan-user.ts'
import { passwordFault } from './password-policy.ts'
import { createAccountsRepository } from './accounts-repository.ts'
import type { PasswordHasher } from './password-hasher.ts'

export type FirstAdministrator =
  | { readonly outcome: 'created' | 'exists' }
  | { readonly outcome: 'impossible'; readonly reason: string }

/**
 * Makes the first cluster administrator where there is none. The password may be made up by the principal, who is
 * asked for it only then.
 */
export async function ensureAdministrator(
  db: Database,
  hasher: PasswordHasher,
  username: string,
  password: () => string | undefined,
): Promise<FirstAdministrator> {
  const accounts = createAccountsRepository(db)
  if (
    (await db.transaction().execute((tx) => createAccountsRepository(tx).lockAdministrators())).length > 0
  ) {
    return { outcome: 'exists' }
  }
  const secret = password()
  if (secret === undefined) {
    return { outcome: 'impossible', reason: 'there is no cluster administrator: set ADMIN_PASSWORD' }
  }
  const fault = passwordFault(secret, username)
  if (fault !== undefined) return { outcome: 'impossible', reason: `ADMIN_PASSWORD ${fault}` }
  const passwordHash = await hasher.hash(secret)
  const role = 'cluster-administrator'
  try {
    await accounts.insert({ username, directory: false, role, enabled: true, namespaces: [], passwordHash })
    return { outcome: 'created' }
  } catch (error) {
    if (!isUniqueViolation(error)) throw error
    // Another replica was first, or somebody has the name who is no administrator.
    const holder = await accounts.findByUsername(username)
    if (holder !== undefined && isAdministrator(holder)) return { outcome: 'exists' }
    return { outcome: 'impossible', reason: `${username} is no cluster administrator: set ADMIN_USERNAME` }
  }
}
