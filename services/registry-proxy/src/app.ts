import type { Problem, RunnableService } from '@registry-manager/http'
import {
  createMetrics,
  createServer,
  createServiceClient,
  health,
  registerApiDocs,
} from '@registry-manager/http'
import { describeNoEndpoint, parseRegistryRequest } from '@registry-manager/oci'
import { createAccountsClient, createAuthenticator } from '@registry-manager/principal'
import type { FastifyRequest } from 'fastify'
import { API_DESCRIPTION } from './api-docs/document.ts'
import { createUploadStatus } from './chunks.ts'
import type { RegistryProxyConfig } from './config.ts'
import { createPullCounter } from './count-pulls.ts'
import { createDescribeManifest } from './describe-manifest.ts'
import { createEndedGlobalScopesFeed } from './ended-global-scopes.ts'
import { registryApi } from './handle-request.ts'
import { CHANGE_TIMEOUT_MS, QUERY_TIMEOUT_MS, createIndexClient } from './index-client.ts'
import { createManifestBudgets, createPutManifest } from './push-manifest.ts'
import { registryProblem } from './refuse.ts'
import { createUploadStates } from './upload-states.ts'

export interface RegistryProxyDeps {
  /** Milliseconds since the epoch. */
  readonly now?: () => number
  readonly logStream?: { write(line: string): void }
}

/** Authorizes every request to the registry and forwards those that are permitted. It has no database connection. */
export async function createRegistryProxy(
  config: RegistryProxyConfig,
  { now = Date.now, logStream }: RegistryProxyDeps = {},
): Promise<RunnableService> {
  const { issuer, service, realm, registryUrl, uploadSecret, logLevel, trustedProxies } = config
  const { storageOrigins = [] } = config
  const credential = config.serviceCredential
  const imageManager = { dependency: 'image-manager', url: config.imageManagerUrl, credential } as const
  const authenticator = createAuthenticator({
    authService: { url: config.authServiceUrl, credential },
    name: 'registry-proxy',
    issuer,
    audience: service,
    now,
  })
  const authService = { dependency: 'auth-service', url: config.authServiceUrl, credential } as const
  const findAccount = createAccountsClient(createServiceClient(authService), authenticator.feed, now)
  const endedGlobalScopes = createEndedGlobalScopesFeed(createServiceClient(imageManager))
  const index = createIndexClient({
    queries: createServiceClient({ ...imageManager, timeoutMs: QUERY_TIMEOUT_MS }),
    changes: createServiceClient({ ...imageManager, timeoutMs: CHANGE_TIMEOUT_MS }),
  })

  const metrics = createMetrics('registry-proxy')
  const server = { name: 'registry-proxy', logLevel, logStream, metrics }
  const publicApp = createServer({ ...server, trustedProxies, format: registryProblem, notFound })
  await registerApiDocs(publicApp, { ...API_DESCRIPTION, publicOrigin: config.publicOrigin })
  const pulls = createPullCounter({ send: index.addPulls, now, log: publicApp.log })
  await publicApp.register(registryApi, {
    pulls,
    realm,
    service,
    publicOrigin: config.publicOrigin,
    registryUrl,
    registryVolume: config.registryVolume,
    storageOrigins,
    uploadSecret,
    uploadStates: createUploadStates(),
    authenticator,
    findAccount,
    now,
    endedGlobalScopes,
    index,
    describeManifest: createDescribeManifest(index.describeManifests),
    putManifest: createPutManifest(registryUrl),
    manifestBudgets: createManifestBudgets(),
    findUploaded: createUploadStatus(registryUrl),
  })
  // Without this listener Node sends 100 Continue itself, before the request is authorized.
  publicApp.server.on('checkContinue', (request, response) => publicApp.routing(request, response))

  const internalApp = createServer(server)
  await internalApp.register(health, { metrics, checks: { revocations: authenticator.feed.check } })
  // The internal port closes last, so the last pulls are counted when their counts are sent.
  for (const work of [authenticator.feed, endedGlobalScopes, pulls]) {
    internalApp.addHook('onReady', async () => work.start())
    internalApp.addHook('onClose', async () => work.stop())
  }
  return { publicApp, internalApp }
}

/** The error for a request without a route. A method that Fastify does not route is 405 if the path exists. */
function notFound({ method, url }: FastifyRequest): Problem {
  const parsed = parseRegistryRequest(method, url)
  if ('refused' in parsed && parsed.allow !== undefined) {
    const headers = { allow: parsed.allow.join(', ') }
    return { status: 405, detail: `${method} is not supported here`, headers }
  }
  return { status: 404, detail: describeNoEndpoint(method, url) }
}
