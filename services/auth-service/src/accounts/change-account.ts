import type { RecordEvents } from '@registry-manager/events'
import type { Account, AccountRef, AccountUpdate, NewAccount } from '../principals/account.ts'
import { isClusterAdministrator, ownRightsOf } from '../principals/account.ts'
import type { UserChange, UserPlan } from './plan-user.ts'
import { raisesGeneration } from './plan-user.ts'
import type { ChangeCause } from './user-events.ts'
import { sessionsEnded, userChanged, userCreated, userDeleted } from './user-events.ts'

export type ChangeResult =
  | { readonly user: Account }
  | { readonly refused: 'absent' | 'last-administrator' | 'taken' }

/** The queries of one transaction. */
export interface ChangeAccountRepositories {
  /** Locks the enabled cluster administrators, so that concurrent changes cannot remove the last one. */
  lockAdministrators(): Promise<readonly string[]>
  find(ref: AccountRef): Promise<Account | undefined>
  /** Undefined when the username is taken. */
  insert(account: NewAccount): Promise<Account | undefined>
  update(id: string, update: AccountUpdate): Promise<Account>
  delete(id: string): Promise<void>
  /** Revokes the access tokens below a generation and the refresh tokens of an account. */
  revoke(id: string, lowestGeneration: number): Promise<void>
  readonly recordEvents: RecordEvents
}

export interface ChangeAccountPorts {
  hashPassword(password: string): Promise<string>
  inTransaction<Result>(work: (repositories: ChangeAccountRepositories) => Promise<Result>): Promise<Result>
}

/**
 * Changes accounts. A change, the generation that it raises, the revocation and the events are one transaction. `cause`
 * is given for changes without a request.
 */
export interface ChangeAccount {
  create(plan: UserPlan, cause?: ChangeCause): Promise<ChangeResult>
  change(ref: AccountRef, change: UserChange, cause?: ChangeCause): Promise<ChangeResult>
  delete(ref: AccountRef): Promise<ChangeResult>
  /** Ends the sessions of an account: its access tokens, refresh tokens and browser sessions. */
  endSessions(ref: AccountRef, cause?: ChangeCause): Promise<ChangeResult>
  /** Does the same without an event, for sessions that end so that the next sign-in reads the directory. */
  expireSessions(ref: AccountRef): Promise<ChangeResult>
}

export function createChangeAccount({ hashPassword, inTransaction }: ChangeAccountPorts): ChangeAccount {
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

  const revokeAll = async (current: Account, { revoke, update }: ChangeAccountRepositories) => {
    const generation = current.generation + 1
    await revoke(current.id, generation)
    return update(current.id, { generation })
  }

  return {
    async create({ password, ...plan }, cause) {
      const passwordHash = plan.passwordHash ?? (await hashed(password)).passwordHash ?? null
      return inTransaction(async ({ insert, recordEvents }) => {
        const user = await insert({ ...plan, passwordHash })
        if (user === undefined) return { refused: 'taken' }
        await recordEvents(userCreated(user, cause))
        return { user }
      })
    },

    async change(ref, change, cause) {
      const { password, ...fields } = change
      const secret = await hashed(password)
      return changing(
        ref,
        (current) => isClusterAdministrator({ ...ownRightsOf(current), ...fields }),
        async (current, { revoke, update, recordEvents }) => {
          const raises = raisesGeneration(current, change)
          const generation = current.generation + 1
          if (raises) await revoke(current.id, generation)
          const user = await update(current.id, { ...fields, ...secret, ...(raises && { generation }) })
          await recordEvents(...userChanged(current, user, change, cause))
          return user
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
          await repositories.recordEvents(userDeleted(current))
          return current
        },
      )
    },

    async endSessions(ref, cause) {
      return changing(
        ref,
        () => true,
        async (current, repositories) => {
          const user = await revokeAll(current, repositories)
          await repositories.recordEvents(sessionsEnded(user, cause))
          return user
        },
      )
    },

    async expireSessions(ref) {
      return changing(ref, () => true, revokeAll)
    },
  }
}
