import { readFileSync } from 'node:fs'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'
import { freePort } from '../deploy/local/free-port.ts'
import { ALLOCATOR } from '../deploy/local/stack/services.ts'
import { createSigningKeys } from '../services/auth-service/src/embedding.ts'
import { respondsWith, runToEnd, startChild } from './child.ts'
import { temporaryFolder } from './cleanup.ts'
import { startPostgres } from './postgres.ts'
import { startRegistries } from './registries.ts'

const program = (path: string) => fileURLToPath(new URL(`../${path}`, import.meta.url))

const ADMIN = { username: 'admin', password: 'bench-of-this-machine' }
/** Secrets between the services of this run, on loopback. */
const [SERVICE_CREDENTIAL, UPLOAD_SECRET] = ['service-credential-'.repeat(2), 'upload-secret-'.repeat(3)]

export interface Stack {
  /** registry-proxy's public port. */
  readonly proxyUrl: string
  readonly proxyPid: number
  /** auth-service's public port. */
  readonly authUrl: string
  readonly authPid: number
  /** image-manager's public port. */
  readonly imageManagerUrl: string
  readonly imageManagerPid: number
  readonly databaseUrl: string
  /** auth-service's internal port, with its metrics. */
  readonly authInternalUrl: string
  /** The registry behind the proxy. */
  readonly registryUrl: string
  /** The registry without authentication, on the same storage. */
  readonly bareUrl: string
  /** Folder of the storage. */
  readonly images: string
  /** Environment for the project's commands. */
  readonly environment: Readonly<Record<string, string>>
  /** Authorization header of the administrator. */
  readonly basic: string
  /** Returns an Authorization header with a new token of the administrator for a repository. */
  bearer(repository: string, actions: string): Promise<string>
  /**
   * Returns an Authorization header with a new token for the principal of an Authorization header. Without a scope it
   * is an identity token.
   */
  token(authorization: string, scope?: string): Promise<string>
  /**
   * Starts another image-manager, from a program of the repository, and a registry-proxy for it. Returns the proxy's
   * URL.
   */
  startProxyOf(imageManagerProgram: string): Promise<string>
  /** Starts another registry-proxy, from a program of the repository. */
  startProxy(proxyProgram: string): Promise<{ readonly url: string; readonly pid: number }>
  /** Starts the storage worker. Returns its process id. */
  startStorageWorker(): Promise<number>
}

/**
 * Starts a new stack, each service in its own process, as in production. `authSettings` are more settings of
 * auth-service.
 */
export async function startStack(authSettings: Readonly<Record<string, string>> = {}): Promise<Stack> {
  const databaseUrl = await startPostgres()
  await runToEnd(process.execPath, [program('packages/database/src/main.ts')], {
    env: { DATABASE_URL: databaseUrl },
  })
  const folder = await temporaryFolder()
  const keys = join(folder, 'signing-keys')
  await createSigningKeys(keys)

  const ports = {
    auth: await publicAndInternal(),
    image: await publicAndInternal(),
    proxy: await publicAndInternal(),
  }
  const proxyUrl = `http://127.0.0.1:${ports.proxy.public}`
  const authUrl = `http://127.0.0.1:${ports.auth.public}`
  const { host } = new URL(proxyUrl)
  const images = join(folder, 'images')
  const { registryUrl, bareUrl } = await startRegistries({
    folder: images,
    authority: join(keys, 'ca.pem'),
    realm: `${proxyUrl}/auth/v2/token`,
    service: host,
    issuer: host,
  })
  const shared = {
    HOST: '127.0.0.1',
    PUBLIC_URL: proxyUrl,
    SERVICE_CREDENTIAL,
    DATABASE_URL: databaseUrl,
    AUTH_SERVICE_URL: `http://127.0.0.1:${ports.auth.internal}`,
    IMAGE_MANAGER_URL: `http://127.0.0.1:${ports.image.internal}`,
    REGISTRY_URL: registryUrl,
    // No background work during a measurement.
    RECONCILE_INTERVAL_SECONDS: '0',
  }
  const startService = (
    name: string,
    port: typeof ports.auth,
    env: NodeJS.ProcessEnv = {},
    path = `services/${name}/src/main.ts`,
  ) =>
    startChild({
      name,
      command: process.execPath,
      args: [...nodeFlags(name), program(path)],
      env: {
        ...shared,
        ...ALLOCATOR,
        PORT: String(port.public),
        INTERNAL_PORT: String(port.internal),
        ...env,
      },
      log: join(folder, `${name}-${port.public}.log`),
      isReady: () => respondsWith(`http://127.0.0.1:${port.internal}/readyz`),
    })
  const auth = await startService('auth-service', ports.auth, {
    ADMIN_USERNAME: ADMIN.username,
    ADMIN_PASSWORD: ADMIN.password,
    SIGNING_KEYS_DIR: keys,
    ...authSettings,
  })
  const imageManager = await startService('image-manager', ports.image)
  const proxy = await startService('registry-proxy', ports.proxy, { UPLOAD_SECRET })

  const basic = basicOf(ADMIN.username, ADMIN.password)
  const token = async (authorization: string, scope?: string) => {
    const query = new URLSearchParams({ service: host, ...(scope !== undefined && { scope }) })
    const response = await fetch(`${authUrl}/auth/v2/token?${query}`, { headers: { authorization } })
    if (!response.ok) throw new Error(`the token endpoint: ${response.status} ${await response.text()}`)
    return `Bearer ${((await response.json()) as { token: string }).token}`
  }
  return {
    proxyUrl,
    proxyPid: proxy.pid,
    authUrl,
    authPid: auth.pid,
    imageManagerUrl: `http://127.0.0.1:${ports.image.public}`,
    imageManagerPid: imageManager.pid,
    databaseUrl,
    authInternalUrl: shared.AUTH_SERVICE_URL,
    registryUrl,
    bareUrl,
    images,
    environment: shared,
    basic,
    bearer: (repository, actions) => token(basic, `repository:${repository}:${actions}`),
    token,
    async startProxyOf(imageManagerProgram) {
      const [image, proxy] = [await publicAndInternal(), await publicAndInternal()]
      await startService('image-manager', image, {}, imageManagerProgram)
      const IMAGE_MANAGER_URL = `http://127.0.0.1:${image.internal}`
      await startService('registry-proxy', proxy, { UPLOAD_SECRET, IMAGE_MANAGER_URL })
      return `http://127.0.0.1:${proxy.public}`
    },
    async startProxy(proxyProgram) {
      const port = await publicAndInternal()
      const { pid } = await startService('registry-proxy', port, { UPLOAD_SECRET }, proxyProgram)
      return { url: `http://127.0.0.1:${port.public}`, pid }
    },
    async startStorageWorker() {
      const port = await publicAndInternal()
      return (await startService('storage-worker', port, { REGISTRY_VOLUME: images })).pid
    },
  }
}

async function publicAndInternal() {
  return { public: await freePort(), internal: await freePort() }
}

/** Returns Node's flags from a service's own script; none if the service has no such script. */
export function nodeFlags(name: string, script = 'start'): string[] {
  const { scripts } = JSON.parse(readFileSync(program(`services/${name}/package.json`), 'utf8')) as {
    scripts?: Record<string, string>
  }
  return scripts?.[script]?.match(/ --\S+/g)?.map((flag) => flag.trim()) ?? []
}

/** Returns an Authorization header for Basic credentials. */
export function basicOf(username: string, password: string): string {
  return `Basic ${Buffer.from(`${username}:${password}`).toString('base64')}`
}
