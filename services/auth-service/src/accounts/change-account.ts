import type { Account, AccountRef, AccountUpdate, NewAccount } from '../principals/account.ts'
import { isClusterAdministrator, ownRightsOf } from '../principals/account.ts'
import type { UserChange, UserPlan } from './plan-user.ts'
import { raisesGeneration } from './plan-user.ts'

export type ChangeResult =
  | { readonly user: Account }
  | { readonly refused: 'absent' | 'last-administrator' | 'taken' }

/** What one transaction reads and writes. */
export interface ChangeAccountRepositories {
  /** Locks the enabled cluster administrators, so that concurrent changes cannot remove the last one. */
  lockAdministrators(): Promise<readonly string[]>
  find(ref: AccountRef): Promise<Account | undefined>
  update(id: string, update: AccountUpdate): Promise<Account>
  delete(id: string): Promise<void>
  /** Revokes the access tokens below a generation and the refresh tokens of an account. */
  revoke(id: string, leastGeneration: number): Promise<void>
}

export interface ChangeAccountPorts {
  hashPassword(password: string): Promise<string>
  /** Undefined when the username is taken. */
  insert(account: NewAccount): Promise<Account | undefined>
  inTransaction<Result>(work: (repositories: ChangeAccountRepositories) => Promise<Result>): Promise<Result>
}

/** Changes accounts. A change, the generation that it raises, and the revocation are one transaction. */
export interface ChangeAccount {
  create(plan: UserPlan): Promise<ChangeResult>
  change(ref: AccountRef, change: UserChange): Promise<ChangeResult>
  delete(ref: AccountRef): Promise<ChangeResult>
  /** Revokes what was issued to an account, and leaves the account as it is. */
  endSessions(ref: AccountRef): Promise<ChangeResult>
}

export function createChangeAccount({
  hashPassword,
  insert,
  inTransaction,
}: ChangeAccountPorts): ChangeAccount {
  /** Hashed before a transaction begins: a transaction holds a database connection. */
  const hashed = async (password: string | null | undefined) =>
    password === undefined ? {} : { passwordHash: password === null ? null : await hashPassword(password) }

  /** Runs a change of an existing account, unless it would leave no cluster administrator. */
  const changing = (
    ref: AccountRef,
    staysAdministrator: (current: Account) => boolean,
    work: (current: Account, repositories: ChangeAccountRepositories) => Promise<Account>,
  ): Promise<ChangeResult> =>
    inTransaction(async (repositories) => {
      const administrators = await repositories.lockAdministrators()
      const current = await repositories.find(ref)
      if (current === undefined) return { refused: 'absent' }
      const isLast =
        isClusterAdministrator(ownRightsOf(current)) && administrators.every((id) => id === current.id)
      if (isLast && !staysAdministrator(current)) return { refused: 'last-administrator' }
      return { user: await work(current, repositories) }
    })

  return {
    async create({ password, ...plan }) {
      const { passwordHash = null } = await hashed(password)
      const user = await insert({ ...plan, passwordHash })
      return user === undefined ? { refused: 'taken' } : { user }
    },

    async change(ref, { password, ...fields }) {
      const secret = await hashed(password)
      return changing(
        ref,
        (current) => isClusterAdministrator({ ...ownRightsOf(current), ...fields }),
        async (current, { revoke, update }) => {
          if (!raisesGeneration(current, { ...fields, password })) {
            return update(current.id, { ...fields, ...secret })
          }
          const generation = current.generation + 1
          await revoke(current.id, generation)
          return update(current.id, { ...fields, ...secret, generation })
        },
      )
    },

    async delete(ref) {
      return changing(
        ref,
        () => false,
        async (current, repositories) => {
          await repositories.revoke(current.id, current.generation + 1)
          await repositories.delete(current.id)
          return current
        },
      )
    },

    async endSessions(ref) {
      return changing(
        ref,
        () => true,
        async (current, { revoke, update }) => {
          const generation = current.generation + 1
          await revoke(current.id, generation)
          return update(current.id, { generation })
        },
      )
    },
  }
}
