import { join } from 'node:path'
import { freePort } from '../deploy/local/free-port.ts'
import { readConfig } from '../deploy/local/stack/config.ts'
import { startIngress } from '../deploy/local/stack/ingress.ts'
import { createProcesses } from '../deploy/local/stack/process-group.ts'
import { SERVICE_NAMES } from '../deploy/local/stack/service-environment.ts'
import { ensureTls } from '../deploy/local/stack/tls.ts'
import { atEnd, temporaryFolder } from './cleanup.ts'
import type { Stack } from './stack.ts'

/** Starts nginx in front of a stack, with the deployed configuration. Returns the URL of its port without TLS. */
export async function startNginxBefore(stack: Stack): Promise<string> {
  const folder = await temporaryFolder()
  const { NGINX_BINARY, NGINX_LIBRARIES } = process.env
  const ports: Record<string, string> = {}
  for (const name of ['HTTPS_PORT', 'REGISTRY_PORT', 'HTTP_PORT']) ports[name] = String(await freePort())
  const config = readConfig({ ...ports, DATA_DIR: folder, NGINX_BINARY, NGINX_LIBRARIES })
  const endWith = (line: string) => Promise.reject(new Error(line))
  const processes = createProcesses(folder, { say: () => undefined, atEnd, endWith })
  const urls = {
    'auth-service': stack.authUrl,
    'image-manager': stack.imageManagerUrl,
    'registry-proxy': stack.proxyUrl,
  }
  const replicas = SERVICE_NAMES.map((service) => ({
    service,
    name: service,
    port: Number(new URL(urls[service]).port),
    internalPort: 0,
  }))
  const tls = await ensureTls(join(folder, 'tls'), ['localhost'])
  await startIngress(config, processes, replicas, stack.registryUrl, tls)
  return `http://127.0.0.1:${ports['HTTP_PORT']}`
}
