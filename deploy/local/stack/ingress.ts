import { join } from 'node:path'
import type { Launch } from '../run-launcher.ts'
import type { StackConfig } from './config.ts'
import type { PairFiles } from './certificate-pair.ts'
import { prepareDecisionCache } from './decision-cache.ts'
import { readTemplates, renderTemplates, servers, startNginx } from './nginx.ts'
import type { Processes } from './process-group.ts'
import type { ServiceName } from './service-environment.ts'
import type { Replica } from './service-environment.ts'
import { statusOf } from './services.ts'

/** Starts the public nginx with the configuration that Compose and Kubernetes use, too. */
export async function startIngress(
  { dataDir, ports, nginx, clientLimits, contentFrom, registry: { volume } }: StackConfig,
  processes: Processes,
  replicas: readonly Replica[],
  registryUrl: string,
  tls: PairFiles,
  atEnd: Launch['atEnd'],
): Promise<void> {
  const folder = join(dataDir, 'nginx')
  const registry = new URL(registryUrl)
  const decisions = prepareDecisionCache(dataDir, join(folder, 'decisions'))
  atEnd(decisions.remove)
  const serversOf = (service: ServiceName) =>
    servers(replicas.filter((replica) => replica.service === service).map(({ port }) => port))
  const { 'nginx.conf': config = '', ...includes } = renderTemplates(readTemplates(), {
    AUTH_SERVICE_SERVERS: serversOf('auth-service'),
    IMAGE_MANAGER_SERVERS: serversOf('image-manager'),
    REGISTRY_PROXY_SERVERS: serversOf('registry-proxy'),
    REGISTRY_SERVERS: `server ${registry.host};`,
    BLOBS_TRANSFERRED_BY: registry.protocol === 'http:' ? 'nginx' : 'registry-proxy',
    CONTENT_FROM: contentFrom,
    REGISTRY_VOLUME: volume,
    CONTENT_CACHE_DIR: join(folder, 'content'),
    CONTENT_CACHE_SIZE: '10g',
    ...decisions.variables,
    HTTPS_LISTEN: String(ports.https),
    REGISTRY_LISTEN: String(ports.registry),
    HTTP_LISTEN: `127.0.0.1:${ports.http}`,
    TLS_CERTIFICATE: tls.certificate,
    TLS_CERTIFICATE_KEY: tls.key,
    NGINX_ACCESS_LOG: processes.logOf('access'),
    NGINX_ERROR_LOG: 'stderr',
    NGINX_PID_FILE: join(folder, 'pid'),
    NGINX_TEMP_DIR: join(folder, 'tmp'),
    WORKER_PROCESSES: 'auto',
    ...clientLimits,
  })
  const options = { ...nginx, name: 'nginx', folder, config, includes, log: processes.logOf('nginx') }
  const isReady = async () => (await statusOf(`http://127.0.0.1:${ports.http}/`)) !== undefined
  await processes.group()('nginx', (onDeath) => startNginx({ ...options, isReady }, onDeath))
}
