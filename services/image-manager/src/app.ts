import type { Database } from '@registry-manager/database'
import { isDatabaseBusyOrUnavailable } from '@registry-manager/database'
import type { Dependency, RunnableService } from '@registry-manager/http'
import {
  ServiceCallError,
  createMetrics,
  createServer,
  createServiceClient,
  health,
  refuseForeignChanges,
  requireServiceCredential,
} from '@registry-manager/http'
import { createAccountsClient, createAuthenticator } from '@registry-manager/principal'
import { withDeletionsInTurn } from './delete/deletions-in-turn.ts'
import { createContentsQueries } from './contents/contents-queries.ts'
import { createIndexChanges } from './index/index-changes.ts'
import { createIndexQueries } from './index/index-queries.ts'
import { createRegistryClient } from '@registry-manager/registry-client'
import type { ImageManagerConfig } from './config.ts'
import { createOrphanSchedule } from './delete/orphan-schedule.ts'
import { createReconcileSchedule } from './reconcile/schedule.ts'
import { contents } from './contents/routes.ts'
import { greeting } from './greeting.ts'
import { internal } from './internal-api/routes.ts'
import { repositories } from './index/repositories-routes.ts'

export interface ImageManagerDeps {
  readonly db: Database
  /** Milliseconds since the epoch. */
  readonly now?: () => number
  readonly logStream?: { write(line: string): void }
}

/** The index of what is in the registry, and everything that is done with it. */
export async function createImageManager(
  config: ImageManagerConfig,
  { db, now = Date.now, logStream }: ImageManagerDeps,
): Promise<RunnableService> {
  const { issuer, service, realm, registryUrl, serviceCredential, logLevel, reconcileIntervalSeconds } =
    config
  const authService = createServiceClient({
    dependency: 'auth-service',
    url: config.authServiceUrl,
    credential: serviceCredential,
  })
  const authenticator = createAuthenticator({
    authService,
    name: 'image-manager',
    issuer,
    audience: service,
    now,
  })
  const findAccount = createAccountsClient(authService, authenticator.feed, now)
  const behind = { registryUrl, serviceToken: authenticator.serviceToken }
  const registry = withDeletionsInTurn(createRegistryClient(behind))
  const ports = { registry, index: createIndexChanges(db), queries: createIndexQueries(db), findAccount }

  const metrics = createMetrics('image-manager')
  const server = { name: 'image-manager', logLevel, logStream, metrics, unavailableDependency }
  const publicApp = createServer({ ...server, trustedProxies: config.trustedProxies })
  refuseForeignChanges(publicApp, config.publicOrigin)
  await publicApp.register(greeting)
  await publicApp.register(repositories, { ...ports, authenticator, realm, service, unavailableDependency })

  const internalApp = createServer(server)
  await internalApp.register(health, { metrics, checks: { revocations: authenticator.feed.check } })
  await internalApp.register(async (app) => {
    requireServiceCredential(app, serviceCredential)
    await app.register(internal, ports)
    await app.register(contents, { queries: createContentsQueries(db), now })
  })
  internalApp.addHook('onReady', async () => authenticator.feed.start())
  internalApp.addHook('onClose', async () => authenticator.feed.stop())
  const orphans = createOrphanSchedule(ports, internalApp.log)
  internalApp.addHook('onReady', async () => orphans.start())
  internalApp.addHook('preClose', async () => orphans.stop())
  if (reconcileIntervalSeconds !== undefined) {
    const schedule = createReconcileSchedule({
      db,
      createRegistry: (signal) => createRegistryClient({ ...behind, signal }),
      intervalSeconds: reconcileIntervalSeconds,
      log: internalApp.log,
      metrics,
      now,
    })
    internalApp.addHook('onReady', async () => schedule.start())
    // Before anything is closed: it says where it was, and the database must be there still.
    internalApp.addHook('preClose', async () => schedule.stop())
  }
  return { publicApp, internalApp }
}

function unavailableDependency(error: unknown): Dependency | undefined {
  if (isDatabaseBusyOrUnavailable(error)) return 'database'
  return error instanceof ServiceCallError ? error.dependency : undefined
}
