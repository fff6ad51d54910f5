import { randomBytes } from 'node:crypto'
import type { Database } from '@registry-manager/database'
import type { HealthCheck, Metrics } from '@registry-manager/http'
import type { DirectoryConfig } from './config.ts'
import type { Enrol } from './enrolment.ts'
import { createEnrolment } from './enrolment.ts'
import type { DirectorySignIn } from './directory-sign-in.ts'
import { createDirectorySignIn } from './directory-sign-in.ts'
import { createCredentialCache } from '../sign-in/credential-cache.ts'
import { connectDirectory } from './ldap/connect.ts'
import { createDirectoryAccounts } from './directory-accounts.ts'
import { createDirectoryMetrics } from './metrics.ts'
import { createDirectoryRefresh } from './refresh.ts'
import type { DirectoryLog } from './ldap/servers.ts'
import type { UsersStore } from '../accounts/manage-users.ts'

export interface DirectoryDeps {
  readonly db: Database
  readonly users: UsersStore
  readonly metrics: Metrics
  readonly log: DirectoryLog
  /** Milliseconds since the epoch. */
  readonly now: () => number
}

export interface DirectoryPart {
  readonly signIn: DirectorySignIn
  readonly enrol: Enrol
  readonly check: HealthCheck
  start(): void
  stop(): void
}

/** For so long credentials that the directory verified are good without asking it, and a wrong password is wrong. */
const REMEMBERED_MS = 60_000
const MAX_REMEMBERED = 50_000

/** Everything that has to do with the directory, joined. */
export function createDirectory(config: DirectoryConfig, deps: DirectoryDeps): DirectoryPart {
  const { db, users, log, now } = deps
  const { groups, autoCreate, refreshSeconds } = config
  const metrics = createDirectoryMetrics(deps.metrics, () => connected.failure() === undefined)
  const connected = connectDirectory(config, { metrics, log, now })
  const { directory } = connected
  const accounts = createDirectoryAccounts(db, users, now)
  const remembering = { key: randomBytes(32), now, maxAgeMs: REMEMBERED_MS, maxEntries: MAX_REMEMBERED }
  const signIn = createDirectorySignIn({
    directory,
    groups,
    autoCreate,
    accounts,
    verified: createCredentialCache(remembering),
    wrong: createCredentialCache(remembering),
    count: metrics.signIn,
  })
  const refresh = createDirectoryRefresh({
    accounts,
    find: directory.find,
    groups,
    endSessions: ({ id }) => users.endSessions({ id }),
    refreshSeconds,
    now,
    log,
    metrics,
  })
  return {
    signIn,
    enrol: createEnrolment(directory, groups),
    check: async () => {
      const failure = connected.failure()
      return failure === undefined ? 'ok' : { degraded: `the directory is unavailable: ${failure}` }
    },
    start: () => {
      connected.start()
      refresh.start()
    },
    stop: () => {
      refresh.stop()
      connected.stop()
    },
  }
}
