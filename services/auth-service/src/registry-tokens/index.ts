import { randomInt } from 'node:crypto'
import type { Database } from '@registry-manager/database'
import { isDatabaseBusyOrUnavailable, isUniqueViolation } from '@registry-manager/database'
import { createRecordEvents } from '@registry-manager/events'
import type { Metrics } from '@registry-manager/http'
import type { FastifyInstance } from 'fastify'
import { createAccountsRepository } from '../accounts/accounts-repository.ts'
import type { OnRevoked } from '../accounts/revocations-repository.ts'
import { inRevokingTransaction } from '../accounts/revocations-repository.ts'
import { AUTH_SERVICE } from '../principals/principal.ts'
import type { NewCredentialCache } from '../sign-in/credential-caches.ts'
import { createLastUsedLog } from '../sign-in/last-used.ts'
import { RECENT_MS } from '../sign-in/sign-in.ts'
import { createManageRegistryTokens } from './manage-registry-tokens.ts'
import { observeRegistryTokens } from './metrics.ts'
import type { RegistryTokenSignInPorts } from './registry-token-sign-in.ts'
import { createRegistryTokenSignIn } from './registry-token-sign-in.ts'
import { createRegistryTokensRepository } from './registry-tokens-repository.ts'
import type { RegistryTokensRoutesOptions } from './routes.ts'
import { registryTokensRoutes } from './routes.ts'

export interface RegistryTokensDeps extends Pick<RegistryTokenSignInPorts, 'isRevoked' | 'isUnchanged'> {
  readonly db: Database
  readonly now: () => number
  readonly metrics: Metrics
  readonly newCredentialCache: NewCredentialCache
  readonly log: { warn(details: object, message: string): void }
  /** Time for which an access token from before a change may still be valid, in milliseconds. */
  readonly accessTokenWindowMs: number
  readonly onRevoked: OnRevoked
}

/** The use cases that manage registry tokens, on a database. */
export function createRegistryTokenManagement(
  db: Database,
  now: () => number,
  accessTokenWindowMs: number,
  onRevoked: OnRevoked,
) {
  return createManageRegistryTokens({
    repository: createRegistryTokensRepository(db),
    inTransaction: (work) =>
      inRevokingTransaction(db, onRevoked, (tx, revocations) =>
        work({
          registryTokens: createRegistryTokensRepository(tx),
          accounts: { ...revocations, delete: createAccountsRepository(tx).delete },
          recordEvents: createRecordEvents(tx, { principal: AUTH_SERVICE }),
        }),
      ),
    isTaken: isUniqueViolation,
    now,
    randomInt,
    accessTokenWindowMs,
  })
}

/** Registry tokens: their management, sign-in and metrics. */
export function createRegistryTokens(
  { offlineGraceSeconds }: { readonly offlineGraceSeconds: number },
  deps: RegistryTokensDeps,
) {
  const { db, now, metrics, log, isRevoked, isUnchanged, accessTokenWindowMs } = deps
  const repository = createRegistryTokensRepository(db)
  const lastUsed = createLastUsedLog({
    save: repository.saveUses,
    now,
    onError: (err) => log.warn({ err }, 'could not save last-used times of registry tokens; will retry'),
  })
  observeRegistryTokens(metrics, repository.countByState, now)
  const registryTokens = createRegistryTokenManagement(db, now, accessTokenWindowMs, deps.onRevoked)
  return {
    registryTokens,
    /** Finds a registry token by its name, in lower case. */
    findByName: repository.findForSignIn,
    /** Registers the management of registry tokens below `/containerregistries`. */
    register: async (app: FastifyInstance, registryOf: RegistryTokensRoutesOptions['registryOf']) => {
      await app.register(registryTokensRoutes, { registryTokens, registryOf, now })
    },
    signInMethod: createRegistryTokenSignIn({
      findRegistryToken: repository.findForSignIn,
      isUnavailable: isDatabaseBusyOrUnavailable,
      isRevoked,
      isUnchanged,
      cache: deps.newCredentialCache('registry-tokens', Math.max(offlineGraceSeconds * 1000, RECENT_MS)),
      noteUse: lastUsed.note,
      now,
    }),
    start: lastUsed.start,
    /** Saves the last uses: stop before the database is closed. */
    stop: lastUsed.stop,
  }
}
