import { randomUUID } from 'node:crypto'
import { hostname } from 'node:os'
import type { BackgroundService } from '@registry-manager/http'
import { createMetrics, createServer, createServiceClient, health } from '@registry-manager/http'
import type { Clocks } from './collect/claim-time.ts'
import { SYSTEM_CLOCKS } from './collect/claim-time.ts'
import { createCollect } from './collect/index.ts'
import { createCollectMetrics } from './collect/metrics.ts'
import type { StorageWorkerConfig } from './config.ts'
import { openStorage } from './storage/open-storage.ts'

export interface StorageWorkerDeps {
  readonly clocks?: Clocks
  readonly logStream?: { write(line: string): void }
  /** Whether the worker is alone in its process, which removals may then block for some milliseconds. */
  readonly isAlone?: boolean
}

/** Longer than image-manager's statement timeout, so that image-manager responds before it. Milliseconds. */
const CALL_TIMEOUT_MS = 10_000

/** Removes the data that image-manager tells it to remove, and lists the storage. It has no database connection. */
export async function createStorageWorker(
  config: StorageWorkerConfig,
  { clocks = SYSTEM_CLOCKS, logStream, isAlone = false }: StorageWorkerDeps = {},
): Promise<BackgroundService> {
  const { imageManagerUrl: url, serviceCredential: credential, logLevel } = config
  const metrics = createMetrics('storage-worker')
  const internalApp = createServer({ name: 'storage-worker', logLevel, logStream, metrics })
  const measured = createCollectMetrics(metrics.registry)
  const storage = await openStorage(config.storage, measured.requested, { mayBlock: isAlone })
  const { tasks, check } = createCollect({
    imageManager: createServiceClient({
      dependency: 'image-manager',
      url,
      credential,
      timeoutMs: CALL_TIMEOUT_MS,
    }),
    storage,
    worker: `${hostname()}-${randomUUID()}`,
    clocks,
    log: internalApp.log,
    metrics: measured,
  })
  await internalApp.register(health, {
    metrics,
    checks: {
      async storage() {
        await storage.check()
        return 'ok'
      },
      'image-manager': check,
    },
  })
  for (const task of tasks) {
    internalApp.addHook('onReady', async () => task.start())
    internalApp.addHook('preClose', () => task.stop())
  }
  internalApp.addHook('onClose', async () => storage.close())
  return { internalApp }
}
