import type { Account, StoredAccount } from '../principals/account.ts'
import { isId } from '../principals/principal.ts'
import type { ManagedPersonalToken, PersonalTokenPrincipal } from '../principals/personal-token.ts'

export interface FindPersonalTokenPorts {
  readonly repository: {
    findById(id: string): Promise<ManagedPersonalToken | undefined>
    findByHash(secretHash: Buffer): Promise<ManagedPersonalToken | undefined>
    findByName(ownerId: string, name: string): Promise<ManagedPersonalToken | undefined>
  }
  findAccount(ref: Pick<Account, 'id'>): Promise<StoredAccount | undefined>
  /** Whether the state of the owner's account is kept current without sign-ins. Personal tokens require that. */
  isRefreshed(owner: Account): boolean
}

/** Finds personal tokens with the present rights of their owners. They may be disabled or expired. */
export interface FindPersonalToken {
  /** By the SHA-256 of the password. */
  bySecret(secretHash: Buffer): Promise<PersonalTokenPrincipal | undefined>
  /** By the owner's id and its own. */
  byId(ownerId: string, id: string): Promise<PersonalTokenPrincipal | undefined>
  /** By the owner's id and its own name, or its id. */
  ofOwner(ownerId: string, nameOrId: string): Promise<PersonalTokenPrincipal | undefined>
}

export function createFindPersonalToken(ports: FindPersonalTokenPorts): FindPersonalToken {
  const { repository, findAccount, isRefreshed } = ports

  const withOwner = async (
    found: ManagedPersonalToken | undefined,
  ): Promise<PersonalTokenPrincipal | undefined> => {
    if (found === undefined) return undefined
    const account = await findAccount(found.owner)
    if (account === undefined || !isRefreshed(account)) return undefined
    // Without the hash of the owner's password: callers cache the result.
    const { passwordHash: _, ...owner } = account
    const { id, name, scopes, expiresAt, conditions } = found
    return { ...owner, via: { id, name, scopes, expiresAt, conditions } }
  }

  const byId = async (ownerId: string, id: string) => {
    const found = await repository.findById(id)
    return found?.owner.id === ownerId ? withOwner(found) : undefined
  }

  return {
    bySecret: async (secretHash) => withOwner(await repository.findByHash(secretHash)),
    byId,
    async ofOwner(ownerId, nameOrId) {
      const named = await withOwner(await repository.findByName(ownerId, nameOrId))
      return named ?? (isId(nameOrId) ? byId(ownerId, nameOrId) : undefined)
    },
  }
}
