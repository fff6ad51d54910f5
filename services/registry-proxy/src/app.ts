import { parseRegistryRequest } from '@registry-manager/oci'
import type { Problem, RunnableService } from '@registry-manager/http'
import { createMetrics, createServer, createServiceClient, health } from '@registry-manager/http'
import { createAuthenticator } from '@registry-manager/principal'
import type { FastifyRequest } from 'fastify'
import { createEndedGlobalsFeed } from './ended-globals-feed.ts'
import { createIndexClient } from './index-client.ts'
import { limitLookups } from './limit-lookups.ts'
import { createManifestSender } from './manifest-sender.ts'
import { createUploadStatus } from './upload-status.ts'
import type { RegistryProxyConfig } from './config.ts'
import { createUploadStates } from './upload-states.ts'
import { registryProblem } from './refuse.ts'
import { v2 } from './handle-request.ts'

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
  const authService = createServiceClient({
    dependency: 'auth-service',
    url: config.authServiceUrl,
    credential: config.serviceCredential,
  })
  const imageManager = createServiceClient({
    dependency: 'image-manager',
    url: config.imageManagerUrl,
    credential: config.serviceCredential,
    timeoutMs: INDEX_TIMEOUT_MS,
  })
  const authenticator = createAuthenticator({
    authService,
    name: 'registry-proxy',
    issuer,
    audience: service,
    now,
  })

  // With a deadline of its own: the other calls may wait for the registry.
  const endedGlobals = createEndedGlobalsFeed(
    createServiceClient({
      dependency: 'image-manager',
      url: config.imageManagerUrl,
      credential: config.serviceCredential,
    }),
  )

  const metrics = createMetrics('registry-proxy')
  const server = { name: 'registry-proxy', logLevel, logStream, metrics }
  const { trustedProxies } = config
  const publicApp = createServer({ ...server, trustedProxies, format: registryProblem, notFound })
  await publicApp.register(v2, {
    realm,
    service,
    publicOrigin: config.publicOrigin,
    registryUrl,
    uploadSecret,
    uploadStates: createUploadStates(),
    authenticator,
    index: limitLookups(createIndexClient(imageManager)),
    sendManifest: createManifestSender(registryUrl),
    findUploaded: createUploadStatus(registryUrl),
    endedGlobals,
  })
  // Who sends `Expect: 100-continue` is told to go on once it is decided, not before.
  publicApp.server.on('checkContinue', (request, response) => publicApp.routing(request, response))

  const internalApp = createServer(server)
  await internalApp.register(health, { metrics, checks: { revocations: authenticator.feed.check } })
  for (const feed of [authenticator.feed, endedGlobals]) {
    internalApp.addHook('onReady', async () => feed.start())
    internalApp.addHook('onClose', async () => feed.stop())
  }
  return { publicApp, internalApp }
}

/** Of what no route takes: a method that Fastify does not route is 405 where the path is known. */
function notFound({ method, url }: FastifyRequest): Problem {
  const parsed = parseRegistryRequest(method, url)
  if ('refused' in parsed && parsed.allow !== undefined) {
    const headers = { allow: parsed.allow.join(', ') }
    return { status: 405, detail: `${method} is not supported here`, headers }
  }
  return { status: 404, detail: 'no such registry endpoint' }
}
