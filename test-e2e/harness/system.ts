import { spawn } from 'node:child_process'
import { once } from 'node:events'
import { existsSync } from 'node:fs'
import { mkdtemp, readFile, rm } from 'node:fs/promises'
import { createServer } from 'node:net'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { setTimeout as sleep } from 'node:timers/promises'
import { getCACertificates, setDefaultCACertificates } from 'node:tls'
import { fileURLToPath } from 'node:url'
import type { Test } from 'tap'
import { ensureFree, freePort } from '../../deploy/local/free-port.ts'

/** The program of `npm start`. */
export const START = fileURLToPath(new URL('../../deploy/local/start.js', import.meta.url))
/** The program of `npm run stack`. */
export const STACK = fileURLToPath(new URL('../../deploy/local/stack.js', import.meta.url))
const START_MS = 240_000
/** The longest time that another test file uses the default ports. */
const LOCK_MS = 1_200_000

export interface Credentials {
  readonly username: string
  readonly password: string
}

/** The address of a system. */
export interface Reachable {
  /** Public URL, such as `http://localhost:18500`. */
  readonly url: string
  /** `host:port`, as clients write it. */
  readonly host: string
}

/** registry-manager as `npm start` or `npm run stack` runs it, with its own ports and folder. */
export interface System extends Reachable {
  /** The host of the registry's port. With `npm start` it is the same port. */
  readonly registryHost: string
  /** URL of the port without TLS. */
  readonly plainUrl: string
  /** Path of the certificate authority of an `https` URL. */
  readonly authority?: string
  readonly admin: Credentials
  readonly dataDir: string
  /** Returns the output so far. */
  output(): string
  /** Creates a user over the API. */
  createUser(username: string, namespaces: string[], role?: string): Promise<Credentials>
  /** The exit code of the program, once it has ended. */
  readonly ended: Promise<number | null>
  /** Stops the program. Returns the exit code. */
  stop(): Promise<number | null>
}

export interface SystemOptions {
  /** The public port; a free one by default. */
  readonly port?: number
  /** The public host name with TLS; the test still uses `url`. */
  readonly publicHost?: string
  /** More settings, named as in the environment. */
  readonly env?: Readonly<Record<string, string>>
  /** A folder with data of an earlier system. It is not removed. */
  readonly dataDir?: string
  readonly admin?: Credentials
}

/**
 * Starts the system for one test. It stops when the test ends, and its data is removed. The system is that of `npm
 * start`, or with `E2E_TARGET=stack` that of `npm run stack` with two replicas of each service.
 */
export async function startSystem(t: Test, options: SystemOptions = {}): Promise<System> {
  return process.env['E2E_TARGET'] === 'stack' ? startStack(t, options) : startEmbedded(t, options)
}

/** Starts the system on the product's default ports, if they are free. */
export async function startAtPorts(t: Test): Promise<System> {
  const isFree = (port: number) =>
    ensureFree('0.0.0.0', port).then(
      () => true,
      () => false,
    )
  if (process.env['E2E_TARGET'] !== 'stack') return startSystem(t)
  const release = await acquireLock('default-ports')
  const system =
    (await isFree(8443)) && (await isFree(8500))
      ? await startSystem(t, { port: 8443, env: { REGISTRY_PORT: '8500' } })
      : await startSystem(t)
  // Teardowns run in reverse order: the system's own teardown would run after this one.
  t.teardown(() => system.stop().then(release))
  return system
}

/**
 * Acquires a lock for a resource that exists once, such as default ports. Returns the function that releases it. The
 * end of the process releases it too. (The lock is an abstract socket, unix(7): it leaves no file behind.)
 */
async function acquireLock(name: string): Promise<() => void> {
  for (const deadline = Date.now() + LOCK_MS; ; await sleep(200)) {
    const server = createServer()
    const listening = once(server.listen(`\0registry-manager-tests/${name}`), 'listening')
    if (await listening.then(() => true).catch(() => false)) return () => void server.close()
    if (Date.now() > deadline)
      throw new Error(`another test file has held the lock ${name} for ${LOCK_MS / 60_000} minutes`)
  }
}

/** Starts the program of `npm start`. */
export async function startEmbedded(t: Test, options: SystemOptions = {}): Promise<System> {
  const port = options.port ?? (await freePort())
  const host = `localhost:${port}`
  const where = { url: `http://${host}`, plainUrl: `http://${host}`, host, registryHost: host }
  return run(t, START, where, { ...options, env: { PORT: String(port), INTERNAL_PORT: '0', ...options.env } })
}

/** Starts the program of `npm run stack`. This process and its children then trust its certificate. */
export async function startStack(t: Test, options: SystemOptions = {}): Promise<System> {
  const ports = {
    HTTPS_PORT: options.port,
    REGISTRY_PORT: undefined,
    HTTP_PORT: undefined,
    INTERNAL_PORT: undefined,
  }
  const env: Record<string, string> = { REPLICAS: '2' }
  for (const [name, port] of Object.entries(ports)) env[name] = String(port ?? (await freePort()))
  Object.assign(env, options.publicHost && { PUBLIC_URL: `https://${options.publicHost}` }, options.env)
  const [host, registryHost] = [`localhost:${env['HTTPS_PORT']}`, `localhost:${env['REGISTRY_PORT']}`]
  const where = {
    url: `https://${host}`,
    plainUrl: `http://127.0.0.1:${env['HTTP_PORT']}`,
    host,
    registryHost,
  }
  const system = await run(t, STACK, where, { ...options, env })
  const authority = join(system.dataDir, 'tls', 'ca.crt')
  // An operator's own certificate has no such authority.
  if (!existsSync(authority)) return system
  setDefaultCACertificates([...getCACertificates(), await readFile(authority, 'utf8')])
  // For Go's and OpenSSL's programs, and curl.
  for (const name of ['SSL_CERT_FILE', 'CURL_CA_BUNDLE']) process.env[name] = authority
  return { ...system, authority }
}

async function run(
  t: Test,
  program: string,
  where: Pick<System, 'url' | 'plainUrl' | 'host' | 'registryHost'>,
  options: SystemOptions,
): Promise<System> {
  const { url, host } = where
  const dataDir = options.dataDir ?? (await mkdtemp(join(tmpdir(), 'registry-manager-')))
  const child = spawn(process.execPath, [program], {
    env: { ...process.env, DATA_DIR: dataDir, ...options.env },
    stdio: ['ignore', 'pipe', 'pipe'],
  })
  const exit = once(child, 'exit').then(([code]) => code as number | null)
  let output = ''
  const serving = new Promise<void>((resolve, reject) => {
    const collect = (chunk: Buffer) => {
      output += chunk.toString()
      if (output.includes('Ctrl-C stops')) resolve()
    }
    child.stdout.on('data', collect)
    child.stderr.on('data', collect)
    void exit.then((code) => reject(new Error(`the system ended with ${code}:\n${output}`)))
    setTimeout(
      () => reject(new Error(`the system does not serve after ${START_MS / 1000} s:\n${output}`)),
      START_MS,
    ).unref()
  })
  const stop = async () => {
    child.kill('SIGTERM')
    return exit
  }
  t.teardown(async () => {
    await stop()
    if (options.dataDir === undefined) await rm(dataDir, { recursive: true, force: true })
  })
  await serving

  const printed = /password\s+(\S+)\s+\(shown this once\)/.exec(output)?.[1]
  const admin = options.admin ?? {
    username: 'admin',
    password: options.env?.['ADMIN_PASSWORD'] ?? printed ?? '',
  }
  return {
    ...where,
    admin,
    dataDir,
    output: () => output,
    ended: exit,
    stop,
    createUser: (username, namespaces, role) => createUser({ url, host }, admin, username, namespaces, role),
  }
}

/** Creates a user over the API. */
export async function createUser(
  { url, host }: Reachable,
  admin: Credentials,
  username: string,
  namespaces: readonly string[],
  role = 'user',
): Promise<Credentials> {
  const password = `pass-of-${username}-at-${host}`
  const response = await fetch(`${url}/user`, {
    method: 'POST',
    headers: { authorization: basic(admin), 'content-type': 'application/json' },
    body: JSON.stringify({ username, password, namespaces, role }),
  })
  if (response.status !== 201) throw new Error(`POST /user: ${response.status} ${await response.text()}`)
  return { username, password }
}

/** Returns the value of podman's and skopeo's `--tls-verify` for a system. */
export function tlsVerify({ authority }: Pick<System, 'authority'>): boolean {
  return authority !== undefined
}

/** Returns an Authorization header for Basic credentials. */
export function basic({ username, password }: Credentials): string {
  return `Basic ${Buffer.from(`${username}:${password}`).toString('base64')}`
}

/** Requests a token of this scope, as clients do. */
export async function tokenFor(system: Reachable, credentials: Credentials, scope?: string): Promise<string> {
  const query = new URLSearchParams({ service: system.host, ...(scope !== undefined && { scope }) })
  const response = await fetch(`${system.url}/auth/v2/token?${query}`, {
    headers: { authorization: basic(credentials) },
  })
  if (response.status !== 200)
    throw new Error(`the token endpoint: ${response.status} ${await response.text()}`)
  return ((await response.json()) as { token: string }).token
}
