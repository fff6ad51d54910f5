import type { Database } from '@registry-manager/database'
import { isDatabaseBusyOrUnavailable, isUniqueViolation } from '@registry-manager/database'
import { createRecordEvents } from '@registry-manager/events'
import type { Metrics, UnavailableDependency } from '@registry-manager/http'
import type { FastifyInstance } from 'fastify'
import type { OnRevoked } from '../accounts/revocations-repository.ts'
import { inRevokingTransaction } from '../accounts/revocations-repository.ts'
import { AUTH_SERVICE } from '../principals/principal.ts'
import type { Workload } from '../principals/workload.ts'
import { makeWorkload } from '../principals/workload.ts'
import type { NewCredentialCache } from '../sign-in/credential-caches.ts'
import type { PrincipalOptions } from '../sign-in/require-principal.ts'
import { RECENT_MS } from '../sign-in/sign-in.ts'
import type { FederationConfig } from './config.ts'
import { createFetchJson } from './fetch-json.ts'
import { createFetchKeySet } from './fetch-key-set.ts'
import { createIssuerKeys } from './issuer-keys.ts'
import { createManageTrustRules } from './manage-trust-rules.ts'
import { countKeyRequests } from './metrics.ts'
import { createTrustRulesRepository } from './trust-rules-repository.ts'
import { trustRulesRoutes } from './trust-rules-routes.ts'
import type { WorkloadSignInPorts } from './workload-sign-in.ts'
import { createWorkloadSignIn, toWorkloadRule } from './workload-sign-in.ts'

export interface FederationOptions {
  /** `iss` of our own access tokens. */
  readonly issuer: string
  readonly offlineGraceSeconds: number
  readonly federation: FederationConfig
}

export interface FederationDeps extends Pick<WorkloadSignInPorts, 'isRevoked' | 'isUnchanged'> {
  readonly db: Database
  /** Milliseconds since the epoch. */
  readonly now: () => number
  readonly metrics: Metrics
  readonly newCredentialCache: NewCredentialCache
  readonly log: { warn(details: object, message: string): void }
  readonly onRevoked: OnRevoked
  readonly unavailableDependency: UnavailableDependency
}

/** Federation for workloads: trust rules, their management, and the sign-in with tokens of other issuers. */
export function createFederation(options: FederationOptions, deps: FederationDeps) {
  const { privateOrigins } = options.federation
  const { db, now, isRevoked, isUnchanged, onRevoked, unavailableDependency } = deps
  const rules = createTrustRulesRepository(db)
  const countRequest = countKeyRequests(deps.metrics)
  const fetchKeySet = createFetchKeySet(createFetchJson(options.federation), privateOrigins)
  const findIssuerKey = createIssuerKeys({
    async fetchKeySet(issuer) {
      const keySet = await fetchKeySet(issuer)
      countRequest('read')
      return keySet
    },
    // A wall clock that is set back would pause requests.
    now: () => performance.now(),
    onFailure(issuer, err) {
      countRequest('failed')
      deps.log.warn({ err, issuer }, 'could not read the keys of a token issuer; will retry')
    },
  })
  const trustRules = createManageTrustRules({
    rules,
    inTransaction: (work) =>
      inRevokingTransaction(db, onRevoked, (tx, { revoke }) =>
        work({
          rules: createTrustRulesRepository(tx),
          revoke,
          recordEvents: createRecordEvents(tx, { principal: AUTH_SERVICE }),
        }),
      ),
    isTaken: isUniqueViolation,
    privateOrigins,
    now,
  })
  return {
    signInMethod: createWorkloadSignIn({
      ownIssuer: options.issuer,
      findRules: rules.findByIssuer,
      findIssuerKey,
      isUnavailable: isDatabaseBusyOrUnavailable,
      isRevoked,
      isUnchanged,
      cache: deps.newCredentialCache('workloads', Math.max(options.offlineGraceSeconds * 1000, RECENT_MS)),
      now,
    }),
    /** The workload of a trust rule, for services that ask for the access behind an access token's `uid`. */
    async findWorkload(ruleId: string): Promise<Workload | undefined> {
      const rule = await rules.findById(ruleId)
      return rule && makeWorkload([toWorkloadRule(rule)], '')
    },
    /** A page of the workloads of the trust rules that give access to any of these patterns. */
    listWorkloads: async (...request: Parameters<typeof rules.listByScopes>): Promise<Workload[]> =>
      (await rules.listByScopes(...request)).map((rule) => makeWorkload([toWorkloadRule(rule)], '')),
    register: async (app: FastifyInstance, principals: PrincipalOptions) => {
      await app.register(trustRulesRoutes, { ...principals, trustRules, now, unavailableDependency })
    },
  }
}
