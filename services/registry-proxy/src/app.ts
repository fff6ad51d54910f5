import type { RunnableService } from '@registry-manager/service-kit'
import {
  createMetrics,
  createServer,
  createServiceClient,
  createTokenGate,
  health,
  registryErrors,
} from '@registry-manager/service-kit'
import { createIndexClient } from './adapters/index-client.ts'
import { createManifestSender } from './adapters/manifest-sender.ts'
import { createUploadStatus } from './adapters/upload-status.ts'
import type { RegistryProxyConfig } from './config.ts'
import { v2 } from './routes/v2.ts'

export interface RegistryProxyDeps {
  /** Milliseconds since the epoch. */
  readonly now?: () => number
  readonly logStream?: { write(line: string): void }
}

/** Recording a push and deleting wait for the registry in turn. */
const INDEX_TIMEOUT_MS = 60_000

/** Decides every request to the registry, and carries those that are permitted. Holds no state of its own. */
export async function createRegistryProxy(
  config: RegistryProxyConfig,
  { now = Date.now, logStream }: RegistryProxyDeps = {},
): Promise<RunnableService> {
  const { issuer, service, realm, registryUrl, uploadSecret, logLevel } = config
  const authService = createServiceClient(config.authServiceUrl, config.serviceCredential)
  const imageManager = createServiceClient(
    config.imageManagerUrl,
    config.serviceCredential,
    INDEX_TIMEOUT_MS,
    'image-manager',
  )
  const gate = createTokenGate({ authService, name: 'registry-proxy', issuer, audience: service, now })

  const metrics = createMetrics('registry-proxy')
  const server = { name: 'registry-proxy', logLevel, logStream, metrics }
  const { trustedProxies } = config
  const publicApp = createServer({ ...server, trustedProxies, format: registryErrors })
  await publicApp.register(v2, {
    realm,
    service,
    publicOrigin: config.publicOrigin,
    registryUrl,
    uploadSecret,
    gate,
    index: createIndexClient(imageManager),
    sendManifest: createManifestSender(registryUrl),
    findUploaded: createUploadStatus(registryUrl),
  })
  // Who sends `Expect: 100-continue` is told to go on once it is decided, not before.
  publicApp.server.on('checkContinue', (request, response) => publicApp.routing(request, response))

  const internalApp = createServer(server)
  await internalApp.register(health, { metrics, checks: { revocations: gate.feed.check } })
  internalApp.addHook('onReady', async () => gate.feed.start())
  internalApp.addHook('onClose', async () => gate.feed.stop())
  return { publicApp, internalApp }
}
