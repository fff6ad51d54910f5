import type { Database } from '@registry-manager/database'
import { isUniqueViolation } from '@registry-manager/database'
import type { Account } from './account.ts'
import { ownPowersOf } from '../directory/directory-state.ts'
import type { UserChange, UserPlan } from './plan-user.ts'
import { isAdministrator, raisesGeneration } from './plan-user.ts'
import type { AccountsRepository } from './accounts-repository.ts'
import { createAccountsRepository } from './accounts-repository.ts'
import type { PasswordHasher } from './password-hasher.ts'
import { createRefreshTokensRepository } from '../access-tokens/refresh-tokens-repository.ts'

export type Changed =
  | { readonly user: Account }
  | { readonly refused: 'absent' | 'last-administrator' | 'taken' }

/**
 * Whom a change is about: whoever has a username, or that one account. Between looking at an account and changing it
 * (a password is hashed meanwhile) another one may have got its name.
 */
export type Whom = string | Pick<Account, 'id'>

export type UsersStore = ReturnType<typeof createUsersStore>

/**
 * Changes of users, each one transaction: the change, the generation it raises, and the revocation that tells
 * the others. Passwords are hashed before it begins, so that no connection waits for that.
 */
export function createUsersStore(db: Database, hasher: PasswordHasher, _now: () => number) {
  const hashed = async (password: string | null | undefined) =>
    password === undefined ? {} : { passwordHash: password === null ? null : await hasher.hash(password) }

  const inTransaction = <Result>(work: (tx: Database) => Promise<Result>) => db.transaction().execute(work)

  const find = (accounts: AccountsRepository, whom: Whom) =>
    typeof whom === 'string' ? accounts.findByUsername(whom) : accounts.findById(whom.id)

  /** Runs a change of an account that it locks, unless it would leave nobody to administrate. */
  const changing = (
    whom: Whom,
    leavesAdministrator: (current: Account) => boolean,
    work: (current: Account, tx: Database) => Promise<Account>,
  ): Promise<Changed> =>
    inTransaction(async (tx) => {
      const accounts = createAccountsRepository(tx)
      const administrators = await accounts.lockAdministrators()
      const current = await find(accounts, whom)
      if (current === undefined) return { refused: 'absent' as const }
      const last = isAdministrator(ownPowersOf(current)) && administrators.every((id) => id === current.id)
      if (last && !leavesAdministrator(current)) return { refused: 'last-administrator' as const }
      return { user: await work(current, tx) }
    })

  const revoke = async (tx: Database, id: string, generation: number) => {
    await createAccountsRepository(tx).revoke(id, generation)
    await createRefreshTokensRepository(tx).revokeAll(id)
  }

  return {
    ...createAccountsRepository(db),
    verifyPassword: hasher.verify,
    find: (whom: Whom) => find(createAccountsRepository(db), whom),

    async create({ password, ...plan }: UserPlan): Promise<Changed> {
      const passwordHash = (await hashed(password)).passwordHash ?? null
      try {
        return { user: await createAccountsRepository(db).insert({ ...plan, passwordHash }) }
      } catch (error) {
        if (isUniqueViolation(error)) return { refused: 'taken' }
        throw error
      }
    },

    async change(whom: Whom, { password, ...fields }: UserChange): Promise<Changed> {
      const secret = await hashed(password)
      return changing(
        whom,
        (current) => isAdministrator({ ...ownPowersOf(current), ...fields }),
        async (current, tx) => {
          const raised = raisesGeneration(current, { ...fields, password })
          const generation = current.generation + (raised ? 1 : 0)
          if (raised) await revoke(tx, current.id, generation)
          return createAccountsRepository(tx).update(current.id, { ...fields, ...secret, generation })
        },
      )
    },

    async delete(whom: Whom): Promise<Changed> {
      return changing(
        whom,
        () => false,
        async (current, tx) => {
          await revoke(tx, current.id, current.generation + 1)
          await createAccountsRepository(tx).remove(current.id)
          return current
        },
      )
    },

    /** Ends an account's sign-ins, the account stays as it is. */
    async endSessions(whom: Whom): Promise<Changed> {
      return changing(
        whom,
        () => true,
        async (current, tx) => {
          await revoke(tx, current.id, current.generation + 1)
          return createAccountsRepository(tx).update(current.id, { generation: current.generation + 1 })
        },
      )
    },
  }
}
