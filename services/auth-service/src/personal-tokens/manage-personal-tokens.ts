import type { RecordEvents } from '@registry-manager/events'
import type { FieldFault } from '@registry-manager/http'
import type { Access } from '@registry-manager/oci'
import type { Static } from 'typebox'
import type { ConditionsInput } from '../access/conditions.ts'
import { parseConditions } from '../access/conditions.ts'
import type { Account } from '../principals/account.ts'
import { isClusterAdministrator } from '../principals/account.ts'
import { parseFutureExpiry } from '../principals/expiry.ts'
import type { ManagedPersonalToken, PersonalToken } from '../principals/personal-token.ts'
import { toScopes } from '../principals/scope.ts'
import { hashSecret } from '../principals/secret-hash.ts'
import { makeTokenSecret } from '../principals/token-secret.ts'
import { personalTokenCreated, personalTokenDeleted } from './personal-token-events.ts'

export interface PersonalTokenInput {
  readonly name: string
  /** RFC 3339; null or absent for never. */
  readonly expiryDate?: string | null
  /** Null or absent: all that the owner may do. */
  readonly scopes?: readonly Access[] | null
  readonly conditions?: Static<typeof ConditionsInput> | null
}

export interface NewPersonalToken extends Omit<PersonalToken, 'id'> {
  readonly ownerId: string
  readonly secretHash: Buffer
}

/** A page in the order of names. */
export interface PersonalTokenPage {
  readonly limit: number
  /** The name after which the page begins. */
  readonly after: string
}

/** The queries of one transaction. */
export interface PersonalTokenTransaction {
  readonly personalTokens: {
    /** Locks the owner's account; returns the number of their personal tokens, undefined if the account is gone. */
    lockOwner(ownerId: string, now: Date): Promise<number | undefined>
    /** Undefined when the owner has a personal token of that name. */
    insert(row: NewPersonalToken): Promise<string | undefined>
    findById(id: string): Promise<ManagedPersonalToken | undefined>
    /** Returns whether it existed. */
    delete(id: string): Promise<boolean>
  }
  /** Revokes the access tokens that were requested with a personal token. */
  revoke(id: string, lowestGeneration: number): Promise<void>
  readonly recordEvents: RecordEvents
}

export interface ManagePersonalTokensPorts {
  readonly repository: {
    findById(id: string): Promise<ManagedPersonalToken | undefined>
    list(ownerId: string, page: PersonalTokenPage): Promise<readonly ManagedPersonalToken[]>
  }
  findUser(username: string): Promise<Account | undefined>
  /** Whether the state of the owner's account is kept current without sign-ins. Personal tokens require that. */
  isRefreshed(owner: Account): boolean
  inTransaction<Result>(work: (tx: PersonalTokenTransaction) => Promise<Result>): Promise<Result>
  readonly now: () => number
  /** Returns a random whole number from 0 to below `max`. */
  readonly randomInt: (max: number) => number
}

/** `password` is not stored and cannot be read again. */
export type PersonalTokenCreation =
  | { readonly outcome: 'created'; readonly personalToken: ManagedPersonalToken; readonly password: string }
  | { readonly outcome: 'invalid'; readonly fault: FieldFault }
  | { readonly outcome: 'taken' | 'too-many' | 'not-refreshed' | 'no-owner' }

export type PersonalTokenList =
  | {
      readonly outcome: 'listed'
      readonly items: readonly ManagedPersonalToken[]
      /** The name after which the next page begins; undefined on the last page. */
      readonly next: string | undefined
    }
  | { readonly outcome: 'forbidden' | 'no-owner' }

/**
 * The use cases. `by` makes the request. Cluster administrators also see and delete the personal tokens of other users.
 */
export interface ManagePersonalTokens {
  create(owner: Account, input: PersonalTokenInput): Promise<PersonalTokenCreation>
  /** Lists the personal tokens of a user; without a username those of `by`. */
  list(by: Account, username: string | undefined, page: PersonalTokenPage): Promise<PersonalTokenList>
  find(by: Account, id: string): Promise<ManagedPersonalToken | undefined>
  /** Returns whether there was such a personal token. */
  delete(by: Account, id: string): Promise<boolean>
}

/** Maximum number of personal tokens of a user that have not expired. */
export const MAX_PERSONAL_TOKENS = 100

/** Manages personal tokens. Each change is one transaction with its event; a deletion also with its revocation. */
export function createManagePersonalTokens(ports: ManagePersonalTokensPorts): ManagePersonalTokens {
  const { repository, inTransaction, now, randomInt } = ports

  const find = async (by: Account, id: string) => {
    const found = await repository.findById(id)
    return found?.owner.id === by.id || isClusterAdministrator(by) ? found : undefined
  }

  return {
    find,

    async create(owner, { name, expiryDate = null, scopes: given, conditions }) {
      const expiry = parseFutureExpiry(expiryDate, now())
      if ('fault' in expiry) return { outcome: 'invalid', fault: expiry.fault }
      const parsed = parseConditions(conditions ?? undefined)
      if ('fault' in parsed) return { outcome: 'invalid', fault: parsed.fault }
      if (!ports.isRefreshed(owner)) return { outcome: 'not-refreshed' }
      const scopes = given ? toScopes(given) : null
      const password = makeTokenSecret('personal-token', randomInt)
      const row = {
        ownerId: owner.id,
        name,
        scopes,
        ...expiry,
        ...parsed,
        secretHash: hashSecret(password),
      }
      return inTransaction(async ({ personalTokens, recordEvents }) => {
        const count = await personalTokens.lockOwner(owner.id, new Date(now()))
        if (count === undefined) return { outcome: 'no-owner' }
        if (count >= MAX_PERSONAL_TOKENS) return { outcome: 'too-many' }
        const id = await personalTokens.insert(row)
        if (id === undefined) return { outcome: 'taken' }
        const personalToken = await personalTokens.findById(id)
        if (personalToken === undefined) throw new Error('a personal token vanished in its own transaction')
        await recordEvents(personalTokenCreated(personalToken))
        return { outcome: 'created', personalToken, password }
      })
    },

    async list(by, username = by.username, { limit, after }) {
      const isOwn = username === by.username
      if (!isOwn && !isClusterAdministrator(by)) return { outcome: 'forbidden' }
      const owner = isOwn ? by : await ports.findUser(username)
      if (owner === undefined) return { outcome: 'no-owner' }
      const found = await repository.list(owner.id, { limit: limit + 1, after })
      const items = found.slice(0, limit)
      return { outcome: 'listed', items, next: found.length > limit ? items.at(-1)?.name : undefined }
    },

    async delete(by, id) {
      const current = await find(by, id)
      if (current === undefined) return false
      return inTransaction(async ({ personalTokens, revoke, recordEvents }) => {
        if (!(await personalTokens.delete(id))) return false
        await revoke(id, 1)
        await recordEvents(personalTokenDeleted(current))
        return true
      })
    },
  }
}
