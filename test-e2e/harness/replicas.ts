import { join } from 'node:path'
import { fileURLToPath } from 'node:url'
import type { Test } from 'tap'
import { respondsWith, runToEnd, startChild } from '../../bench/child.ts'
import { cleanUp, temporaryFolder } from '../../bench/cleanup.ts'
import { freePort } from '../../deploy/local/free-port.ts'
import { createEmbeddedRouter } from '../../deploy/local/embedded-router.ts'
import { findRegistry } from '../../deploy/local/registry-binary.js'
import { startRegistry } from '../../deploy/local/registry-child.ts'
import type { RealPostgres } from '@registry-manager/testing/real-postgres'
import { startPostgres } from '@registry-manager/testing/real-postgres'
import { createSigningKeys } from '../../services/auth-service/src/embedding.ts'
import { deal, listen, startBalancer } from './ingress.ts'
import type { Reachable, System } from './system.ts'
import { createUser } from './system.ts'

const SERVICES = ['auth-service', 'image-manager', 'registry-proxy'] as const
type ServiceName = (typeof SERVICES)[number]

/** registry-manager as in production: every service in its own processes, with Postgres and one registry. */
export interface Replicas extends Reachable, Pick<System, 'admin' | 'createUser'> {
  /** The replicas. Each is served by its own processes and has the same host in tokens. */
  readonly each: readonly Reachable[]
  /** URL of the registry itself, without registry-proxy. */
  readonly registryUrl: string
  readonly postgres: RealPostgres
  /** Returns the services that have ended. */
  ended(): string[]
}

export interface ReplicasOptions {
  /** Number of processes of each service. */
  readonly count?: number
  /** More settings for every service, named as in the environment. */
  readonly env?: Readonly<Record<string, string>>
}

/**
 * Starts the services for one test. Listeners in front of them, and between them, distribute requests to the replicas
 * in turn. Without Postgres the test is skipped and the result is undefined.
 */
export async function startReplicas(
  t: Test,
  { count = 2, env = {} }: ReplicasOptions = {},
): Promise<Replicas | undefined> {
  const postgres = await startPostgres(t)
  if (postgres === undefined) return undefined
  t.teardown(cleanUp)
  const folder = await temporaryFolder()
  const migrate = [program('packages/database/src/main.ts')]
  await runToEnd(process.execPath, migrate, { env: { DATABASE_URL: postgres.url } })
  const keys = join(folder, 'signing-keys')
  await createSigningKeys(keys)

  const publicPort = await freePort()
  const [host, url] = [`localhost:${publicPort}`, `http://localhost:${publicPort}`]
  const admin = { username: 'admin', password: `pass-of-admin-at-${host}` }
  const registryUrl = await startOwnRegistry(t, {
    folder: join(folder, 'images'),
    authority: join(keys, 'ca.pem'),
    realm: `${url}/auth/v2/token`,
    service: host,
    issuer: host,
  })

  const ports: Readonly<Record<ServiceName, readonly Ports[]>> = {
    'auth-service': await freePorts(count),
    'image-manager': await freePorts(count),
    'registry-proxy': await freePorts(count),
  }
  const internal = async (name: ServiceName) =>
    startBalancer(
      t,
      ports[name].map((port) => port.internal),
      await freePort(),
    )
  const settings = {
    HOST: '127.0.0.1',
    PUBLIC_URL: url,
    DATABASE_URL: postgres.url,
    ADMIN_PASSWORD: admin.password,
    SIGNING_KEYS_DIR: keys,
    SERVICE_CREDENTIAL: 'the-credential-that-services-share',
    UPLOAD_SECRET: 'the-secret-that-binds-uploads-to-accounts',
    AUTH_SERVICE_URL: await internal('auth-service'),
    IMAGE_MANAGER_URL: await internal('image-manager'),
    REGISTRY_URL: registryUrl,
    ...env,
  }
  const start = async (name: ServiceName, port: Ports) => {
    const { pid } = await startChild({
      name,
      command: process.execPath,
      args: [program(`services/${name}/src/main.ts`)],
      env: { ...settings, PORT: String(port.public), INTERNAL_PORT: String(port.internal) },
      log: join(folder, `${name}-${port.public}.log`),
      isReady: () => respondsWith(`http://127.0.0.1:${port.internal}/readyz`),
    })
    return { name, pid }
  }
  const running = await Promise.all(SERVICES.flatMap((name) => ports[name].map((port) => start(name, port))))

  const front = async (replicas: readonly number[], port: number) => {
    const service = (name: ServiceName) =>
      deal(
        t,
        replicas.map((replica) => ports[name][replica]?.public ?? 0),
      )
    const [authService, imageManager, registryProxy] = SERVICES.map(service) as [Dealt, Dealt, Dealt]
    await listen(t, createEmbeddedRouter({ authService, imageManager, registryProxy }), port)
  }
  const all = Array.from({ length: count }, (_, replica) => replica)
  await front(all, publicPort)
  const one = async (replica: number): Promise<Reachable> => {
    const port = await freePort()
    await front([replica], port)
    return { url: `http://localhost:${port}`, host }
  }
  return {
    url,
    host,
    admin,
    each: await Promise.all(all.map(one)),
    registryUrl,
    postgres,
    createUser: (username, namespaces) => createUser({ url, host }, admin, username, namespaces),
    ended: () => running.filter(({ pid }) => !isRunning(pid)).map(({ name }) => name),
  }
}

type Dealt = ReturnType<typeof deal>

interface Ports {
  readonly public: number
  readonly internal: number
}

function freePorts(count: number): Promise<Ports[]> {
  const pair = async () => ({ public: await freePort(), internal: await freePort() })
  return Promise.all(Array.from({ length: count }, pair))
}

async function startOwnRegistry(
  t: Test,
  options: Omit<Parameters<typeof startRegistry>[0], 'binary' | 'httpSecret' | 'onDeath'>,
): Promise<string> {
  const registry = await startRegistry({
    ...options,
    binary: findRegistry(process.env, t.comment).REGISTRY_BINARY ?? process.env['REGISTRY_BINARY'],
    httpSecret: 'a secret that uploads are signed with',
    onDeath: (reason) => t.fail(reason),
  })
  t.teardown(registry.stop)
  return registry.url
}

function isRunning(pid: number): boolean {
  try {
    return process.kill(pid, 0)
  } catch {
    return false
  }
}

function program(path: string): string {
  return fileURLToPath(new URL(`../../${path}`, import.meta.url))
}
