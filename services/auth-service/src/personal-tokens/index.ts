import { randomInt } from 'node:crypto'
import type { Database } from '@registry-manager/database'
import { isDatabaseBusyOrUnavailable } from '@registry-manager/database'
import { createRecordEvents } from '@registry-manager/events'
import type { UnavailableDependency } from '@registry-manager/http'
import type { FastifyInstance } from 'fastify'
import type { OnRevoked } from '../accounts/revocations-repository.ts'
import { inRevokingTransaction } from '../accounts/revocations-repository.ts'
import type { RequestSessions } from '../browser-sessions/request-session.ts'
import type { Account, AccountRef, StoredAccount } from '../principals/account.ts'
import { AUTH_SERVICE } from '../principals/principal.ts'
import type { NewCredentialCache } from '../sign-in/credential-caches.ts'
import { createLastUsedLog } from '../sign-in/last-used.ts'
import type { PrincipalOptions } from '../sign-in/require-principal.ts'
import { RECENT_MS } from '../sign-in/sign-in.ts'
import { createFindPersonalToken } from './find-personal-token.ts'
import { createManagePersonalTokens } from './manage-personal-tokens.ts'
import { createTokensSection, tokenPageRoutes } from './page-routes.ts'
import type { PersonalTokenSignInPorts } from './personal-token-sign-in.ts'
import { createPersonalTokenSignIn } from './personal-token-sign-in.ts'
import { createPersonalTokensRepository } from './personal-tokens-repository.ts'
import { personalTokensRoutes } from './routes.ts'

export interface PersonalTokensDeps extends Pick<PersonalTokenSignInPorts, 'isRevoked' | 'isUnchanged'> {
  readonly db: Database
  readonly now: () => number
  readonly accounts: { find(ref: AccountRef): Promise<StoredAccount | undefined> }
  /** Whether the state of the owner's account is kept current without sign-ins. Personal tokens require that. */
  readonly isRefreshed: (owner: Account) => boolean
  readonly newCredentialCache: NewCredentialCache
  readonly log: { warn(details: object, message: string): void }
  readonly onRevoked: OnRevoked
  readonly unavailableDependency: UnavailableDependency
}

/** The use cases that manage personal tokens, on a database. */
export function createPersonalTokenManagement(
  deps: Pick<PersonalTokensDeps, 'db' | 'now' | 'accounts' | 'isRefreshed' | 'onRevoked'>,
) {
  const { db, now, accounts, isRefreshed, onRevoked } = deps
  return createManagePersonalTokens({
    repository: createPersonalTokensRepository(db),
    findUser: accounts.find,
    isRefreshed,
    inTransaction: (work) =>
      inRevokingTransaction(db, onRevoked, (tx, { revoke }) =>
        work({
          personalTokens: createPersonalTokensRepository(tx),
          revoke,
          recordEvents: createRecordEvents(tx, { principal: AUTH_SERVICE }),
        }),
      ),
    now,
    randomInt,
  })
}

export interface PersonalTokensConfig {
  readonly offlineGraceSeconds: number
  /** The origin of PUBLIC_URL. */
  readonly publicOrigin: string
}

/** Personal tokens: their management, by API and on the account page, and sign-in. */
export function createPersonalTokens(
  { offlineGraceSeconds, publicOrigin }: PersonalTokensConfig,
  deps: PersonalTokensDeps,
) {
  const { db, now, accounts, isRefreshed, log, isRevoked, isUnchanged, unavailableDependency } = deps
  const repository = createPersonalTokensRepository(db)
  const lastUsed = createLastUsedLog({
    save: repository.saveUses,
    now,
    onError: (err) => log.warn({ err }, 'could not save last-used times of personal tokens; will retry'),
  })
  const find = createFindPersonalToken({ repository, findAccount: accounts.find, isRefreshed })
  const personalTokens = createPersonalTokenManagement(deps)
  return {
    /** Finds a personal token, with the present rights of its owner, by the owner's id and its own. */
    findPrincipal: find.byId,
    findOfOwner: find.ofOwner,
    create: personalTokens.create,
    signInMethod: createPersonalTokenSignIn({
      findBySecret: find.bySecret,
      isUnavailable: isDatabaseBusyOrUnavailable,
      isRevoked,
      isUnchanged,
      cache: deps.newCredentialCache('personal-tokens', Math.max(offlineGraceSeconds * 1000, RECENT_MS)),
      noteUse: lastUsed.note,
      now,
    }),
    /** The part of the account page that shows personal tokens. */
    section: createTokensSection({ personalTokens, now }),
    register: async (
      app: FastifyInstance,
      principals: PrincipalOptions & { readonly sessions: RequestSessions },
    ) => {
      const shared = { personalTokens, unavailableDependency, now }
      await app.register(personalTokensRoutes, { ...principals, ...shared })
      await app.register(tokenPageRoutes, { sessions: principals.sessions, publicOrigin, ...shared })
    },
    start: lastUsed.start,
    /** Saves the last uses: stop before the database is closed. */
    stop: lastUsed.stop,
  }
}
