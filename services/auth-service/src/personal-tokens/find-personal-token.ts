import type { Account, StoredAccount } from '../principals/account.ts'
import type { ManagedPersonalToken, PersonalTokenPrincipal } from '../principals/personal-token.ts'

export interface FindPersonalTokenPorts {
  readonly repository: {
    findById(id: string): Promise<ManagedPersonalToken | undefined>
    findByHash(secretHash: Buffer): Promise<ManagedPersonalToken | undefined>
  }
  findAccount(ref: Pick<Account, 'id'>): Promise<StoredAccount | undefined>
  /** Whether a person's account ends without their next sign-in when they leave; see `isRefreshed` in `app.ts`. */
  isRefreshed(owner: Account): boolean
}

/** Finds personal tokens with the present rights of their owners. They may be disabled or expired. */
export interface FindPersonalToken {
  /** By the SHA-256 of the password. */
  bySecret(secretHash: Buffer): Promise<PersonalTokenPrincipal | undefined>
  /** By the owner's id and its own. */
  byId(ownerId: string, id: string): Promise<PersonalTokenPrincipal | undefined>
}

export function createFindPersonalToken(ports: FindPersonalTokenPorts): FindPersonalToken {
  const { repository, findAccount, isRefreshed } = ports

  const withOwner = async (
    found: ManagedPersonalToken | undefined,
  ): Promise<PersonalTokenPrincipal | undefined> => {
    if (found === undefined) return undefined
    const account = await findAccount(found.owner)
    if (account === undefined || !isRefreshed(account)) return undefined
    // Callers keep the result in caches, which need no hash of the owner's password.
    const { passwordHash: _, ...owner } = account
    const { id, name, scopes, expiresAt } = found
    return { ...owner, via: { id, name, scopes, expiresAt } }
  }

  return {
    bySecret: async (secretHash) => withOwner(await repository.findByHash(secretHash)),
    async byId(ownerId, id) {
      const found = await repository.findById(id)
      return found?.owner.id === ownerId ? withOwner(found) : undefined
    },
  }
}
