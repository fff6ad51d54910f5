import type { StoredAccount } from '../principals/account.ts'
import { isBcryptHash } from './bcrypt.ts'

export interface ReplaceImportedHashPorts {
  hashPassword(password: string): Promise<string>
  /** Replaces a hash of the same password, unless it is not stored any more. */
  replacePasswordHash(id: string, from: string, to: string): Promise<void>
}

/** Returns the account with the new hash. */
export type ReplaceImportedHash = (account: StoredAccount, password: string) => Promise<StoredAccount>

/**
 * Replaces a bcrypt hash of another system by an argon2id hash, once a sign-in has proven the password. The password
 * stays the same, so sessions and tokens stay valid, and no event is recorded.
 */
export function createReplaceImportedHash(ports: ReplaceImportedHashPorts): ReplaceImportedHash {
  return async (account, password) => {
    const from = account.passwordHash
    if (from === null || !isBcryptHash(from)) return account
    const passwordHash = await ports.hashPassword(password)
    await ports.replacePasswordHash(account.id, from, passwordHash)
    return { ...account, passwordHash }
  }
}
