import type { Database } from '@registry-manager/database'
import { isDatabaseBusyOrUnavailable } from '@registry-manager/database'
import type { Metrics } from '@registry-manager/http'
import type { FastifyBaseLogger } from 'fastify'
import { createAccess } from './access/index.ts'
import { createAccessTokens } from './access-tokens/index.ts'
import type { SigningKeys } from './access-tokens/signing-keys.ts'
import { createAccounts } from './accounts/index.ts'
import { createAudit } from './audit/index.ts'
import { createBrowserSessionsFeature } from './browser-sessions/index.ts'
import type { AuthServiceConfig } from './config.ts'
import { createDeviceFlowFeature } from './device-flow/index.ts'
import { DirectoryUnavailable } from './directory/directory.ts'
import { createDirectory } from './directory/index.ts'
import { createFederation } from './federation/index.ts'
import { createHousekeeping } from './housekeeping.ts'
import { createOidc } from './oidc/index.ts'
import { createPersonalTokens } from './personal-tokens/index.ts'
import { createRegistryTokens } from './registry-tokens/index.ts'
import { createCredentialCaches } from './sign-in/credential-caches.ts'
import { createSignInFeature } from './sign-in/index.ts'
import type { SignInDependency } from './sign-in/sign-in.ts'

export interface FeaturesDeps {
  readonly db: Database
  readonly keys: SigningKeys
  /** Milliseconds since the epoch. */
  readonly now: () => number
  readonly metrics: Metrics
  readonly log: FastifyBaseLogger
}

export type Features = ReturnType<typeof createFeatures>

/**
 * Creates the features of auth-service, and gives each one the functions that it needs of the others. Starts and
 * registers nothing.
 */
export function createFeatures(config: AuthServiceConfig, { keys, ...deps }: FeaturesDeps) {
  const { db, now, metrics, log } = deps
  const accounts = createAccounts(db)
  const newCredentialCache = createCredentialCaches(metrics, now)
  const shared = { ...deps, accounts, newCredentialCache, unavailableDependency }

  const accessTokens = createAccessTokens(config, { ...shared, keys })
  const withRevocation = { ...shared, ...accessTokens.revocation }
  accounts.watchRevocations(accessTokens.revocation.onRevoked)
  const access = createAccess(withRevocation)
  const directory =
    config.directory &&
    createDirectory(config.directory, {
      ...shared,
      access,
      log: (level, details, message) => log[level](details, message),
    })
  const registryTokens = createRegistryTokens(config, withRevocation)
  const personalTokens = createPersonalTokens(config, {
    ...withRevocation,
    // A directory user who uses personal tokens only never signs in at the directory. Only the periodic refresh shows
    // that such a user has left.
    isRefreshed: (owner) => !owner.directory || directory?.refreshesUsers === true,
  })
  const federation = createFederation(config, withRevocation)
  const audit = createAudit(shared)
  const signInFeature = createSignInFeature({
    ...withRevocation,
    methods: [registryTokens.signInMethod, personalTokens.signInMethod, federation.signInMethod],
    verifiers: directory ? [directory.passwordVerifier] : [],
    findAccount: accounts.find,
    verifyPassword: accounts.verifyPassword,
    replaceImportedHash: accounts.replaceImportedHash,
    findByRefreshToken: accessTokens.findByRefreshToken,
    offlineMs: config.offlineGraceSeconds * 1000,
    secret: config.serviceCredential,
    onError: (err) => log.warn({ err }, 'could not save the addresses of sign-ins; will retry'),
  })
  const findAccountById = async (id: string, via?: string) =>
    via === undefined
      ? ((await accounts.find({ id })) ?? registryTokens.registryTokens.find(id))
      : personalTokens.findPrincipal(id, via)
  const { publicOrigin, serviceCredential: secret, oidcProviders = [] } = config
  const { setExternalMemberships } = access
  const findAccount = accounts.find
  return {
    accounts,
    accessTokens,
    access,
    directory,
    registryTokens,
    personalTokens,
    federation,
    audit,
    signIn: audit.watchSignIns(signInFeature.signIn),
    findAccountById,
    sessions: createBrowserSessionsFeature({ db, now, findAccount, publicOrigin }),
    oidc: createOidc(oidcProviders, { db, now, accounts, publicOrigin, setExternalMemberships }),
    deviceFlow: createDeviceFlowFeature({
      db,
      now,
      findAccount,
      createPersonalToken: personalTokens.create,
      secret,
      publicOrigin,
    }),
    /** The background work that starts and stops with the service. */
    tasks: [
      registryTokens,
      personalTokens,
      signInFeature,
      audit,
      createHousekeeping({ ...shared, auditDays: config.auditDays }),
      ...(directory ? [directory] : []),
    ],
  }
}

/** The dependency that an error of a feature is due to. */
export function unavailableDependency(error: unknown): SignInDependency | undefined {
  if (error instanceof DirectoryUnavailable) return 'directory'
  return isDatabaseBusyOrUnavailable(error) ? 'database' : undefined
}
