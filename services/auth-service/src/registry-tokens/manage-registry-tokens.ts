import type { NewEvent } from '@registry-manager/events'
import type { FieldFault } from '@registry-manager/http'
import type {
  RegistryTokenChange,
  RegistryTokenChangeInput,
  RegistryTokenInput,
} from './plan-registry-token.ts'
import {
  endsAccessTokens,
  planRegistryToken,
  planRegistryTokenChange,
  rotationEndsAccessTokens,
} from './plan-registry-token.ts'
import type {
  ManagedRegistryToken,
  PrincipalName,
  StoredRegistryToken,
} from '../principals/registry-token.ts'
import { isPast } from '../principals/registry-token.ts'
import {
  registryTokenChanged,
  registryTokenCreated,
  registryTokenDeleted,
  registryTokenRotated,
} from './registry-token-events.ts'
import type { RegistryTokenTransaction, RegistryTokenUpdate } from './registry-token-transaction.ts'
import { hashSecret } from '../principals/secret-hash.ts'
import { makeTokenSecret } from '../principals/token-secret.ts'

export interface RegistryTokenList {
  readonly offset: number
  readonly limit: number
  /** Only enabled registry tokens that expire in this time, the first to expire first. */
  readonly expiring?: { readonly after: Date; readonly until: Date }
}

export interface ManageRegistryTokensPorts {
  readonly repository: {
    findById(id: string): Promise<ManagedRegistryToken | undefined>
    list(list: RegistryTokenList): Promise<ManagedRegistryToken[]>
    count(list: RegistryTokenList): Promise<number>
  }
  inTransaction<Result>(work: (tx: RegistryTokenTransaction) => Promise<Result>): Promise<Result>
  /** Whether an error of `insert` means that the name, or the id, is taken. */
  isTaken(error: unknown): boolean
  readonly now: () => number
  /** Returns a random whole number from 0 to below `max`. */
  readonly randomInt: (max: number) => number
  /** Time for which an access token from before a change may still be valid, in milliseconds. */
  readonly accessTokenWindowMs: number
}

/** A registry token with its new password, which is not stored and cannot be read again. */
export interface WithPassword {
  readonly registryToken: ManagedRegistryToken
  readonly password: string
}

export type Refused =
  | { readonly outcome: 'invalid'; readonly fault: FieldFault }
  | { readonly outcome: 'absent' }
  | { readonly outcome: 'taken' }

export interface ManageRegistryTokens {
  find(id: string): Promise<ManagedRegistryToken | undefined>
  list(
    list: RegistryTokenList,
  ): Promise<{ readonly items: readonly ManagedRegistryToken[]; readonly total: number }>
  create(
    input: RegistryTokenInput,
    by: PrincipalName,
  ): Promise<({ readonly outcome: 'created' } & WithPassword) | Refused>
  /**
   * Replaces the password and, if an input is given, the fields. The old password keeps working for `overlapMs`.
   * Creates the registry token under this id if there is none (RFC 9110 §9.3.4): the provider's command line tool
   * deletes a registry token and puts it back under its id.
   */
  replace(
    id: string,
    input: RegistryTokenInput | null,
    overlapMs: number,
    by: PrincipalName,
  ): Promise<({ readonly outcome: 'created' | 'replaced' } & WithPassword) | Refused>
  change(
    id: string,
    input: RegistryTokenChangeInput,
    by: PrincipalName,
  ): Promise<{ readonly outcome: 'changed'; readonly registryToken: ManagedRegistryToken } | Refused>
  /** Returns whether there was such a registry token. */
  delete(id: string): Promise<boolean>
}

/**
 * Manages registry tokens. Each change is one transaction: the change itself, the raised generation, the revocation
 * that the other services poll, and the event.
 */
export function createManageRegistryTokens(ports: ManageRegistryTokensPorts): ManageRegistryTokens {
  const { repository, inTransaction, now, randomInt, accessTokenWindowMs } = ports

  /** Changes a registry token that it locks; undefined when there is none. */
  const update = (
    id: string,
    by: PrincipalName,
    work: (current: StoredRegistryToken) => {
      readonly change: RegistryTokenChange
      readonly raisesGeneration: boolean
      readonly secret?: RegistryTokenUpdate['secret']
      eventsOf(changed: ManagedRegistryToken): readonly NewEvent[]
    },
  ): Promise<ManagedRegistryToken | undefined> =>
    inTransaction(async ({ registryTokens, accounts, recordEvents }) => {
      const current = await registryTokens.lock(id)
      if (current === undefined) return undefined
      const { change, raisesGeneration, secret, eventsOf } = work(current)
      const generation = current.generation + (raisesGeneration ? 1 : 0)
      if (raisesGeneration) await accounts.revoke(id, generation)
      await registryTokens.update(id, { change, generation, by, at: new Date(now()), secret })
      const changed = await registryTokens.findById(id)
      if (changed !== undefined) await recordEvents(...eventsOf(changed))
      return changed
    })

  const create = async (
    input: RegistryTokenInput,
    by: PrincipalName,
    id?: string,
  ): Promise<({ readonly outcome: 'created' } & WithPassword) | Refused> => {
    const planned = planRegistryToken(input, now())
    if ('fault' in planned) return { outcome: 'invalid', fault: planned.fault }
    const password = makeTokenSecret('registry-token', randomInt)
    const secretHash = hashSecret(password)
    try {
      const registryToken = await inTransaction(async ({ registryTokens, accounts, recordEvents }) => {
        // A deleted id starts with the generation after its revocation, so access tokens from before stay invalid.
        const generation = id === undefined ? undefined : await accounts.lowestGeneration(id)
        const row = { ...planned.plan, secretHash, createdBy: by, id, generation }
        const created = await registryTokens.findById(await registryTokens.insert(row))
        if (created === undefined) throw new Error('a registry token vanished in its own transaction')
        await recordEvents(registryTokenCreated(created))
        return created
      })
      return { outcome: 'created', registryToken, password }
    } catch (error) {
      if (ports.isTaken(error)) return { outcome: 'taken' }
      throw error
    }
  }

  const rotate = async (
    id: string,
    change: RegistryTokenChange,
    overlapMs: number,
    by: PrincipalName,
  ): Promise<WithPassword | undefined> => {
    const password = makeTokenSecret('registry-token', randomInt)
    const registryToken = await update(id, by, (current) => {
      const [old, previous] = current.secrets
      const previousWorks = previous !== undefined && !isPast(previous.until, now())
      return {
        change,
        raisesGeneration:
          endsAccessTokens(current, change) ||
          rotationEndsAccessTokens(previousWorks, overlapMs, accessTokenWindowMs),
        secret: {
          hash: hashSecret(password),
          previous:
            overlapMs > 0 && old !== undefined
              ? { hash: old.hash, until: new Date(now() + overlapMs) }
              : null,
        },
        eventsOf: (changed) => [registryTokenRotated(current, changed, overlapMs)],
      }
    })
    return registryToken && { registryToken, password }
  }

  return {
    find: repository.findById,
    list: async (list) => ({ items: await repository.list(list), total: await repository.count(list) }),
    create,

    async replace(id, input, overlapMs, by) {
      const current = await repository.findById(id)
      if (current === undefined) return input ? create(input, by, id) : { outcome: 'absent' }
      const planned = input ? planReplacement(current, input, now()) : { change: {} }
      if ('fault' in planned) return { outcome: 'invalid', fault: planned.fault }
      const rotated = await rotate(id, planned.change, overlapMs, by)
      return rotated === undefined ? { outcome: 'absent' } : { outcome: 'replaced', ...rotated }
    },

    async change(id, input, by) {
      const planned = planRegistryTokenChange(input)
      if ('fault' in planned) return { outcome: 'invalid', fault: planned.fault }
      const { change } = planned
      const registryToken = await update(id, by, (current) => ({
        change,
        raisesGeneration: endsAccessTokens(current, change),
        eventsOf: (changed) => registryTokenChanged(current, changed),
      }))
      return registryToken === undefined ? { outcome: 'absent' } : { outcome: 'changed', registryToken }
    },

    delete: (id) =>
      inTransaction(async ({ registryTokens, accounts, recordEvents }) => {
        const current = await registryTokens.lock(id)
        if (current === undefined) return false
        await accounts.revoke(id, current.generation + 1)
        await accounts.delete(id)
        await recordEvents(registryTokenDeleted(current))
        return true
      }),
  }
}

function planReplacement(
  current: ManagedRegistryToken,
  input: RegistryTokenInput,
  nowMs: number,
): { change: RegistryTokenChange } | { fault: FieldFault } {
  const planned = planRegistryToken(input, nowMs)
  if ('fault' in planned) return planned
  const { name, ...change } = planned.plan
  if (name === current.username) return { change }
  return { fault: { field: 'name', detail: `cannot be changed: it is ${current.username}` } }
}
