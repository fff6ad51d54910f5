import type { Database } from '@registry-manager/database'
import { isDatabaseBusyOrUnavailable } from '@registry-manager/database'
import type { HealthCheck, Metrics } from '@registry-manager/http'
import { DIRECTORY } from '../access/group.ts'
import type { AccessFeature } from '../access/index.ts'
import type { Accounts } from '../accounts/index.ts'
import type { LookUpUser } from '../accounts/manage-users.ts'
import type { NewCredentialCache } from '../sign-in/credential-caches.ts'
import type { PasswordVerifier } from '../sign-in/user-sign-in.ts'
import type { DirectoryConfig } from './config.ts'
import type { DirectoryLog } from './directory.ts'
import { createDirectoryAccounts } from './directory-accounts.ts'
import { createDirectoryAccountsRepository } from './directory-accounts-repository.ts'
import { createDirectorySignIn } from './directory-sign-in.ts'
import { connectDirectory } from './ldap/connect.ts'
import { createLookUpUser } from './look-up-user.ts'
import { createMappedGroups } from './mapped-groups.ts'
import { createDirectoryMetrics } from './metrics.ts'
import { createDirectoryRefresh } from './refresh.ts'

export interface DirectoryFeatureDeps {
  readonly db: Database
  readonly accounts: Accounts
  readonly access: Pick<AccessFeature, 'setExternalMemberships' | 'mappedNames'>
  readonly metrics: Metrics
  readonly newCredentialCache: NewCredentialCache
  readonly log: DirectoryLog
  /** Milliseconds since the epoch. */
  readonly now: () => number
}

export interface DirectoryFeature {
  readonly passwordVerifier: PasswordVerifier
  readonly lookUpUser: LookUpUser
  /** Whether the states of users are read periodically, so that a user who has left is noticed without a sign-in. */
  readonly refreshesUsers: boolean
  readonly check: HealthCheck
  start(): void
  stop(): Promise<void>
}

/** Cache time of verified and of wrong passwords, in milliseconds. */
const CACHED_MS = 60_000

export function createDirectory(config: DirectoryConfig, deps: DirectoryFeatureDeps): DirectoryFeature {
  const { db, accounts, access, log, now } = deps
  const { groups, autoCreate, refreshSeconds } = config
  const metrics = createDirectoryMetrics(deps.metrics, () => connected.failure() === undefined)
  const mappedGroups = createMappedGroups({
    fixed: [...(groups?.keys() ?? [])],
    load: () => access.mappedNames(DIRECTORY),
    now,
    log,
  })
  const connected = connectDirectory(config, { metrics, log, now, mappedGroups })
  const { directory } = connected
  const { claim, setReadAt } = createDirectoryAccountsRepository(db)
  const directoryAccounts = createDirectoryAccounts({
    ...accounts,
    setReadAt,
    setMemberships: (account, names) => access.setExternalMemberships(account, DIRECTORY, names),
    now,
  })
  const passwordVerifier = createDirectorySignIn({
    directory,
    groups,
    autoCreate,
    accounts: directoryAccounts,
    verified: deps.newCredentialCache('directory', CACHED_MS),
    wrong: deps.newCredentialCache('directory-refusals', CACHED_MS),
    count: metrics.signIn,
  })
  const refresh = createDirectoryRefresh({
    claim,
    setReadAt,
    save: directoryAccounts.save,
    setGroups: directoryAccounts.setGroups,
    endSessions: ({ id }) => accounts.expireSessions({ id }),
    isDatabaseUnavailable: isDatabaseBusyOrUnavailable,
    find: directory.find,
    groups,
    refreshSeconds,
    now,
    log,
    count: metrics.refreshed,
  })
  return {
    passwordVerifier,
    lookUpUser: createLookUpUser(directory, groups),
    refreshesUsers: directory.find !== undefined,
    check: async () => {
      const failure = connected.failure()
      return failure === undefined ? 'ok' : { degraded: `the directory is unavailable: ${failure}` }
    },
    start: () => {
      connected.start()
      refresh.start()
    },
    stop: async () => {
      await refresh.stop()
      connected.stop()
    },
  }
}
