import type { Database } from '@registry-manager/database'
import { isUniqueViolation } from '@registry-manager/database'
import type { TokenChange, TokenPlan } from './plan-registry-token.ts'
import { endsIssuedTokens, rotationEndsIssuedTokens } from './plan-registry-token.ts'
import type { Actor, ManagedToken, StoredRegistryToken } from './registry-token.ts'
import { isPast } from './registry-token.ts'
import { hashTokenSecret, makeTokenSecret } from './registry-token-secret.ts'
import { createAccountsRepository } from '../accounts/accounts-repository.ts'
import { createRevocationsRepository } from '../accounts/revocations-repository.ts'
import { createRegistryTokensRepository } from './registry-tokens-repository.ts'

/** A token with its password, which is nowhere else. */
export interface MadeToken {
  readonly token: ManagedToken
  readonly password: string
}

export interface Rotation {
  /** What the token is replaced by; it stays as it is when left out. */
  readonly change?: TokenChange
  /** How long the old password works beside the new one, in milliseconds. */
  readonly overlapMs: number
}

export type RegistryTokensStore = ReturnType<typeof createRegistryTokensStore>

/**
 * Changes of registry tokens, each one transaction: the change, the generation it raises, and the revocation
 * that tells the others. `issuedLastsMs`: how long what was issued before a change could still be used.
 */
export function createRegistryTokensStore(db: Database, now: () => number, issuedLastsMs: number) {
  /** Runs a change of a token that it locks. */
  const changing = (
    id: string,
    by: Actor,
    work: (current: StoredRegistryToken) => {
      change: TokenChange
      ends: boolean
      secret?: { hash: Buffer; previous: { hash: Buffer; until: Date } | null }
    },
  ): Promise<ManagedToken | undefined> =>
    db.transaction().execute(async (tx) => {
      const tokens = createRegistryTokensRepository(tx)
      const current = await tokens.lock(id)
      if (current === undefined) return undefined
      const { change, ends, secret } = work(current)
      const generation = current.generation + (ends ? 1 : 0)
      if (ends) await createRevocationsRepository(tx).revoke(id, generation)
      await tokens.update(id, { plan: change, generation, by, at: new Date(now()), secret })
      return tokens.findById(id)
    })

  return {
    ...createRegistryTokensRepository(db),

    /**
     * Makes a token and answers its password, this once. Undefined when the name is taken, or the id. With an id that was
     * deleted before it begins in the generation after: what was issued then stays dead.
     */
    async create(plan: TokenPlan, by: Actor, id?: string): Promise<MadeToken | undefined> {
      const password = makeTokenSecret()
      try {
        const token = await db.transaction().execute(async (tx) => {
          const tokens = createRegistryTokensRepository(tx)
          const generation =
            id === undefined ? undefined : await createRevocationsRepository(tx).leastGeneration(id)
          return tokens.findById(await tokens.insert(plan, by, hashTokenSecret(password), { id, generation }))
        })
        return token && { token, password }
      } catch (error) {
        if (isUniqueViolation(error)) return undefined
        throw error
      }
    },

    /** Undefined when there is no such token. */
    change: (id: string, change: TokenChange, by: Actor) =>
      changing(id, by, (current) => ({ change, ends: endsIssuedTokens(current, change) })),

    /** Makes a new password, beside which the old one works for a while. Undefined when there is no such token. */
    async rotate(
      id: string,
      { change = {}, overlapMs }: Rotation,
      by: Actor,
    ): Promise<MadeToken | undefined> {
      const password = makeTokenSecret()
      const token = await changing(id, by, (current) => {
        const [old, previous] = current.secrets
        const previousWorks = previous !== undefined && !isPast(previous.until, now())
        const until = new Date(now() + overlapMs)
        return {
          change,
          ends:
            endsIssuedTokens(current, change) ||
            rotationEndsIssuedTokens(previousWorks, overlapMs, issuedLastsMs),
          secret: {
            hash: hashTokenSecret(password),
            previous: overlapMs > 0 && old !== undefined ? { hash: old.hash, until } : null,
          },
        }
      })
      return token && { token, password }
    },

    /** Whether there was one. */
    async delete(id: string): Promise<boolean> {
      return db.transaction().execute(async (tx) => {
        const current = await createRegistryTokensRepository(tx).lock(id)
        if (current === undefined) return false
        const accounts = createRevocationsRepository(tx)
        await accounts.revoke(id, current.generation + 1)
        await createAccountsRepository(tx).delete(id)
        return true
      })
    },
  }
}
