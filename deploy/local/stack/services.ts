import { readFileSync } from 'node:fs'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'
import { startChild } from '../child.ts'
import type { Running } from '../child.ts'
import { freePort } from '../free-port.ts'
import type { StackConfig } from './config.ts'
import { betweenConfig } from './between.ts'
import { servers, startNginx } from './nginx.ts'
import type { Keep, Parts } from './parts.ts'
import type { ServiceName } from './service-environment.ts'
import { SERVICE_NAMES } from './service-environment.ts'

/** One process of a service. */
export interface Replica {
  readonly service: ServiceName
  /** Such as `auth-service-1`. */
  readonly name: string
  readonly port: number
  readonly internalPort: number
}

/** Replicas of every service, each with ports that nobody listens on. */
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

/** The nginx between the services, which has one internal URL for all replicas of each. */
export async function planBetween(
  { dataDir, nginx, ports: { internal: internalPort } }: StackConfig,
  parts: Parts,
  replicas: readonly Replica[],
): Promise<{ urlOf(service: ServiceName): string; start(keep: Keep): Promise<void> }> {
  const folder = join(dataDir, 'nginx')
  const ports = new Map<ServiceName, number>()
  for (const name of SERVICE_NAMES) ports.set(name, await freePort())
  const urlOf = (service: ServiceName) => `http://127.0.0.1:${ports.get(service)}`
  const config = betweenConfig({
    pidFile: join(folder, 'between.pid'),
    tempDir: join(folder, 'tmp'),
    internalPort,
    watched: replicas,
    services: [...ports].map(([service, port]) => ({
      port,
      servers: servers(
        replicas.filter((replica) => replica.service === service).map(({ internalPort }) => internalPort),
      ),
    })),
  })
  const options = { ...nginx, name: 'between', folder, config, log: parts.logOf('between') }
  const isReady = async () => (await statusOf(`${urlOf('auth-service')}/`)) !== undefined
  return {
    urlOf,
    start: (keep) => keep('between', (onDeath) => startNginx({ ...options, isReady }, onDeath)),
  }
}

/** Runs a replica, as its own `start` script does. It serves once it listens on both of its ports. */
export function startReplica(
  { service, name, port, internalPort }: Replica,
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
      env: { ...env, NODE_COMPILE_CACHE },
      stopBy: [['SIGTERM', 1000]],
      log,
      isReady: async () =>
        (await statusOf(`http://127.0.0.1:${internalPort}/readyz`)) === 200 &&
        (await statusOf(`http://127.0.0.1:${port}/`)) !== undefined,
    },
    onDeath,
  )
}

/** Node's flags and the program of a service, as its `start` script names them. */
export function commandOf(service: string): string[] {
  const folder = fileURLToPath(new URL(`../../../services/${service}/`, import.meta.url))
  const { scripts } = JSON.parse(readFileSync(join(folder, 'package.json'), 'utf8')) as {
    scripts: { start: string }
  }
  const [, ...words] = scripts.start.split(' ')
  return words.map((word) => (word.startsWith('-') ? word : join(folder, word)))
}

/** The status of a URL's answer; undefined when there is none. */
export async function statusOf(url: string): Promise<number | undefined> {
  const response = await fetch(url, { signal: AbortSignal.timeout(1000) }).catch(() => undefined)
  await response?.body?.cancel()
  return response?.status
}
