import { readFileSync } from 'node:fs'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'
import { startChild } from '../child-process.ts'
import type { Running } from '../child-process.ts'
import { freePort } from '../free-port.ts'
import type { StackConfig } from './config.ts'
import { internalBalancerConfig } from './internal-balancer.ts'
import { servers, startNginx } from './nginx.ts'
import type { Keep, Processes } from './process-group.ts'
import type { Program, Replica, ServiceName } from './service-environment.ts'
import { SERVICE_NAMES } from './service-environment.ts'

/** Returns the replicas of every service, with free ports for each. */
export async function planReplicas(count: number): Promise<readonly Replica[]> {
  const replicas: Replica[] = []
  for (const service of SERVICE_NAMES) {
    for (let number = 1; number <= count; number += 1) {
      const [port, internalPort] = [await freePort(), await freePort()]
      replicas.push({ service, name: `${service}-${number}`, port, internalPort })
    }
  }
  return replicas
}

/** Returns the storage worker, if something says where the images are. */
export async function planStorageWorkers({ storage }: StackConfig): Promise<readonly Program[]> {
  if (storage === undefined) return []
  const settings = storage.kind === 'volume' ? { REGISTRY_VOLUME: storage.folder } : undefined
  const internalPort = await freePort()
  return [{ service: 'storage-worker', name: 'storage-worker', internalPort, settings }]
}

/** Starts the nginx between the services, which gives all replicas of a service one internal URL. */
export async function planInternalBalancer(
  { dataDir, nginx, ports: { internal: internalPort } }: StackConfig,
  processes: Processes,
  programs: readonly Program[],
): Promise<{ urlOf(service: ServiceName): string; start(keep: Keep): Promise<void> }> {
  const folder = join(dataDir, 'nginx')
  const ports = new Map<ServiceName, number>()
  for (const name of SERVICE_NAMES) ports.set(name, await freePort())
  const portsOf = (service: ServiceName) =>
    programs.filter((program) => program.service === service).map((program) => program.internalPort)
  // A single replica needs no balancer.
  const urlOf = (service: ServiceName) => {
    const [only, ...others] = portsOf(service)
    return `http://127.0.0.1:${others.length === 0 ? only : ports.get(service)}`
  }
  const config = internalBalancerConfig({
    pidFile: join(folder, 'between.pid'),
    tempDir: join(folder, 'tmp'),
    internalPort,
    watched: programs,
    services: [...ports].map(([service, port]) => ({ port, servers: servers(portsOf(service)) })),
  })
  const options = { ...nginx, name: 'between', folder, config, log: processes.logOf('between') }
  const isReady = async () => (await statusOf(`http://127.0.0.1:${internalPort}/`)) !== undefined
  return {
    urlOf,
    start: (keep) => keep('between', (onDeath) => startNginx({ ...options, isReady }, onDeath)),
  }
}

/**
 * Makes glibc return the memory of password hashes and of large bodies to the operating system. Source: mallopt(3). The
 * image has the same variables (deploy/docker/Dockerfile).
 */
export const ALLOCATOR = { MALLOC_ARENA_MAX: '2', MALLOC_MMAP_THRESHOLD_: '131072' }

/** Starts a process with the command of its `start` script. It serves once its ports respond. */
export function startProgram(
  { service, name, port, internalPort }: Program,
  env: NodeJS.ProcessEnv,
  log: string,
  onDeath: (reason: string) => void,
): Promise<Running> {
  const { NODE_COMPILE_CACHE } = process.env
  return startChild(
    {
      name,
      command: process.execPath,
      args: commandOf(service),
      env: { ...env, ...ALLOCATOR, NODE_COMPILE_CACHE },
      stopBy: [['SIGTERM', 1000]],
      log,
      isReady: async () =>
        port === undefined
          ? (await statusOf(`http://127.0.0.1:${internalPort}/livez`)) === 200
          : (await statusOf(`http://127.0.0.1:${internalPort}/readyz`)) === 200 &&
            (await statusOf(`http://127.0.0.1:${port}/`)) !== undefined,
    },
    onDeath,
  )
}

/** Reads Node's flags and the program of a service from its `start` script. */
export function commandOf(service: string): string[] {
  const folder = fileURLToPath(new URL(`../../../services/${service}/`, import.meta.url))
  const { scripts } = JSON.parse(readFileSync(join(folder, 'package.json'), 'utf8')) as {
    scripts: { start: string }
  }
  const [, ...words] = scripts.start.split(' ')
  return words.map((word) => (word.startsWith('-') ? word : join(folder, word)))
}

/** Returns the status of the response from a URL; undefined if there is no response. */
export async function statusOf(url: string): Promise<number | undefined> {
  const response = await fetch(url, { signal: AbortSignal.timeout(1000) }).catch(() => undefined)
  await response?.body?.cancel()
  return response?.status
}
