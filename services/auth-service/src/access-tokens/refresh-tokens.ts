import type { Account } from '../principals/account.ts'
import { hashSecret } from '../principals/secret-hash.ts'

/** The fields of an account that a refresh token is bound to. */
type TokenOwner = Pick<Account, 'id' | 'generation'>

export interface RefreshTokensPorts<Found extends Pick<Account, 'enabled'>> {
  readonly repository: {
    insert(token: {
      readonly hash: Buffer
      readonly accountId: string
      readonly generation: number
      readonly service: string
      readonly clientId: string
      readonly usedAt: Date
    }): Promise<void>
    deleteLeastRecentlyUsed(accountId: string, count: number): Promise<void>
    find(
      hash: Buffer,
      service: string,
      usedAfter: Date,
    ): Promise<{ readonly id: string; readonly accountId: string; readonly usedAt: Date } | undefined>
    setUsedAt(id: string, usedAt: Date): Promise<void>
  }
  findAccount(ref: Pick<Account, 'id'>): Promise<Found | undefined>
  /** Milliseconds since the epoch. */
  readonly now: () => number
  /** Returns random bytes for a new refresh token. */
  readonly randomBytes: (size: number) => Buffer
}

export interface RefreshTokens<Found> {
  /** Makes a refresh token and returns it. Only its hash is stored, so this is the only time that it is known. */
  issue(account: TokenOwner, service: string, clientId: string): Promise<string>
  /** Returns the enabled account of a refresh token that is valid for a service, and records the use. */
  findAccount(token: string, service: string): Promise<Found | undefined>
}

/** A refresh token that was unused for this long is no longer valid. */
export const UNUSED_DAYS = 90
/** An account has at most this many refresh tokens; a new one replaces the one that was unused for longest. */
const MAX_PER_ACCOUNT = 100
/**
 * `used_at` is updated at most once per interval. With a longer interval, tokens in use would look least recently used
 * and be deleted when a new token is issued.
 */
const USED_AT_STEP_MS = 60_000

/** Refresh tokens are random, so a fast hash (SHA-256) is enough to store them by. */
export function createRefreshTokens<Found extends Pick<Account, 'enabled'>>({
  repository,
  findAccount,
  now,
  randomBytes,
}: RefreshTokensPorts<Found>): RefreshTokens<Found> {
  return {
    async issue({ id: accountId, generation }, service, givenClientId) {
      const token = `rmr_${randomBytes(32).toString('base64url')}`
      // The client's own name for itself is only displayed. Postgres accepts no NUL in strings.
      const clientId = givenClientId.replaceAll('\0', '').slice(0, 255)
      const usedAt = new Date(now())
      await repository.insert({ hash: hashSecret(token), accountId, generation, service, clientId, usedAt })
      await repository.deleteLeastRecentlyUsed(accountId, MAX_PER_ACCOUNT)
      return token
    },

    async findAccount(token, service) {
      const usedAfter = new Date(now() - UNUSED_DAYS * 86_400_000)
      const found = await repository.find(hashSecret(token), service, usedAfter)
      if (found === undefined) return undefined
      if (now() - found.usedAt.getTime() > USED_AT_STEP_MS) {
        await repository.setUsedAt(found.id, new Date(now()))
      }
      const account = await findAccount({ id: found.accountId })
      return account?.enabled === true ? account : undefined
    },
  }
}
