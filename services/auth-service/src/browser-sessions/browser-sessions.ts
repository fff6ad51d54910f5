import type { NewEvent, RecordEvents } from '@registry-manager/events'
import type { Account } from '../principals/account.ts'
import { namedPrincipal } from '../principals/principal.ts'
import { hashSecret } from '../principals/secret-hash.ts'

/** How a person proved their identity. */
export type SignedInBy =
  | { readonly by: 'password' }
  /** At an OpenID Connect provider; `session` is its `sid`. */
  | { readonly by: 'provider'; readonly provider: string; readonly session: string | undefined }

export interface StoredSession {
  readonly accountId: string
  readonly usedAt: Date
  readonly expiresAt: Date
}

export interface NewSession {
  /** SHA-256 of the session's secret. */
  readonly hash: Buffer
  readonly accountId: string
  readonly generation: number
  readonly createdAt: Date
  readonly expiresAt: Date
  readonly provider: string | undefined
  readonly providerSession: string | undefined
}

/** The queries of one transaction. */
export interface BrowserSessionRepositories {
  insert(session: NewSession): Promise<void>
  /** Deletes an account's sessions except the `count` newest ones. */
  deleteOldest(accountId: string, count: number): Promise<void>
  /** Whether there was such a session. */
  delete(hash: Buffer): Promise<boolean>
  readonly recordEvents: RecordEvents
}

export interface BrowserSessionsPorts {
  inTransaction<Result>(work: (repositories: BrowserSessionRepositories) => Promise<Result>): Promise<Result>
  /** The session that expires after `now` and was used after `usedAfter`, if its account has its generation. */
  find(hash: Buffer, now: Date, usedAfter: Date): Promise<StoredSession | undefined>
  setUsedAt(hash: Buffer, usedAt: Date): Promise<void>
  findAccount(ref: Pick<Account, 'id'>): Promise<Account | undefined>
  /** Milliseconds since the epoch. */
  readonly now: () => number
  /** Returns random bytes for a new session. */
  readonly randomBytes: (size: number) => Buffer
}

export interface FoundSession {
  readonly account: Account
  readonly expiresAt: Date
}

export interface BrowserSessions {
  /** Begins a session of a person who has just proved their identity. Returns its secret, of which a hash is stored. */
  start(account: Account, signedInBy: SignedInBy): Promise<string>
  /** The session of a secret, if it is live and its account is enabled. Notes the use. */
  find(token: string): Promise<FoundSession | undefined>
  end(token: string, account: Account): Promise<void>
}

const HOUR_MS = 3_600_000
/** A working day, after which a person signs in again. */
const LONGEST_MS = 12 * HOUR_MS
export const IDLE_MS = 2 * HOUR_MS
/** A new session beyond these ends the account's oldest one. */
const MAX_PER_ACCOUNT = 100
/** `used_at` is written at most once in this time. */
const USED_AT_STEP_MS = 60_000
/** 256 bits. */
const TOKEN_BYTES = 32
const TOKEN = /^[\w-]{43}$/

/**
 * Sessions of people who signed in with a browser. A session belongs to one generation of its account: a change that
 * revokes the account's tokens ends its sessions too. The secret is random, so a fast hash (SHA-256) is enough.
 */
export function createBrowserSessions(ports: BrowserSessionsPorts): BrowserSessions {
  const { inTransaction, find, setUsedAt, findAccount, now, randomBytes } = ports
  return {
    async start(account, signedInBy) {
      const token = randomBytes(TOKEN_BYTES).toString('base64url')
      const [createdAt, expiresAt] = [new Date(now()), new Date(now() + LONGEST_MS)]
      const { id: accountId, generation } = account
      const { provider = undefined, session: providerSession = undefined } =
        signedInBy.by === 'provider' ? signedInBy : {}
      await inTransaction(async ({ insert, deleteOldest, recordEvents }) => {
        await insert({
          hash: hashSecret(token),
          accountId,
          generation,
          createdAt,
          expiresAt,
          provider,
          providerSession,
        })
        await deleteOldest(accountId, MAX_PER_ACCOUNT)
        await recordEvents(
          eventOf('sign-in', account, { by: signedInBy.by, ...(provider !== undefined && { provider }) }),
        )
      })
      return token
    },

    async find(token) {
      if (!TOKEN.test(token)) return undefined
      const hash = hashSecret(token)
      const session = await find(hash, new Date(now()), new Date(now() - IDLE_MS))
      if (session === undefined) return undefined
      const account = await findAccount({ id: session.accountId })
      if (account?.enabled !== true) return undefined
      if (now() - session.usedAt.getTime() > USED_AT_STEP_MS) await setUsedAt(hash, new Date(now()))
      return { account, expiresAt: session.expiresAt }
    },

    async end(token, account) {
      await inTransaction(async (repositories) => {
        if (await repositories.delete(hashSecret(token)))
          await repositories.recordEvents(eventOf('sign-out', account, {}))
      })
    },
  }
}

function eventOf(
  action: 'sign-in' | 'sign-out',
  account: Account,
  detail: NewEvent['detail'] = {},
): NewEvent {
  const { id, username } = account
  return {
    action,
    target: { kind: 'user', account: username, id },
    detail,
    principal: namedPrincipal(account),
  }
}
