import type { RunnableService } from '@registry-manager/service-kit'
import {
  createJwksClient,
  createMetrics,
  createRevocationFeed,
  createServer,
  createServiceClient,
  createTokenVerifier,
  health,
  registryErrors,
} from '@registry-manager/service-kit'
import { createAuthClient } from './adapters/auth-client.ts'
import type { RegistryProxyConfig } from './config.ts'
import { v2 } from './routes/v2.ts'

export interface RegistryProxyDeps {
  /** Milliseconds since the epoch. */
  readonly now?: () => number
  readonly logStream?: { write(line: string): void }
}

/** Decides every request to the registry, and carries those that are permitted. Holds no state of its own. */
export async function createRegistryProxy(
  config: RegistryProxyConfig,
  { now = Date.now, logStream }: RegistryProxyDeps = {},
): Promise<RunnableService> {
  const { issuer, service, realm, registryUrl, uploadSecret, logLevel } = config
  const authService = createServiceClient(config.authServiceUrl, config.serviceCredential)
  const { exchange, forget, serviceToken } = createAuthClient(authService, now)
  const feed = createRevocationFeed(authService, now)
  const findKey = createJwksClient(authService, now)
  const verifyToken = createTokenVerifier({ issuer, audience: service, findKey })

  const metrics = createMetrics('registry-proxy')
  const server = { name: 'registry-proxy', logLevel, logStream, metrics }
  const publicApp = createServer({ ...server, format: registryErrors })
  await publicApp.register(v2, {
    realm,
    service,
    registryUrl,
    uploadSecret,
    verifyToken,
    isRevoked: feed.isRevoked,
    exchange,
    forget,
    serviceToken,
  })
  // Who sends `Expect: 100-continue` is told to go on once it is decided, not before.
  publicApp.server.on('checkContinue', (request, response) => publicApp.routing(request, response))

  const internalApp = createServer(server)
  await internalApp.register(health, { metrics, checks: { revocations: feed.check } })
  internalApp.addHook('onReady', async () => feed.start())
  internalApp.addHook('onClose', async () => feed.stop())
  return { publicApp, internalApp }
}
