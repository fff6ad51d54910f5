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

/** What `npm start` runs. */
export const START = fileURLToPath(new URL('../../deploy/local/start.js', import.meta.url))
/** What `npm run stack` runs. */
export const STACK = fileURLToPath(new URL('../../deploy/local/stack.js', import.meta.url))
const START_MS = 240_000

export interface Credentials {
  readonly username: string
  readonly password: string
}

/** Where a system is reached. */
export interface Reachable {
  /** Public URL, such as `http://localhost:18500`. */
  readonly url: string
  /** `host:port`, as clients write it. */
  readonly host: string
}

/** registry-manager as `npm start` or `npm run stack` runs it, on ports and in a folder of its own. */
export interface System extends Reachable {
  /** The same for the port that the registry is said to have; with `npm start` there is but one. */
  readonly registryHost: string
  /** URL of the port without TLS. */
  readonly plainUrl: string
  /** The file of the authority that signed the certificate of an `https` URL. */
  readonly authority?: string
  readonly admin: Credentials
  readonly dataDir: string
  /** Everything that was printed. */
  output(): string
  /** Makes a user over the API. */
  createUser(username: string, namespaces: string[], role?: string): Promise<Credentials>
  /** Its exit code, once it ended. */
  readonly ended: Promise<number | null>
  /** Stops it, and answers the exit code. */
  stop(): Promise<number | null>
}

export interface SystemOptions {
  /** The public one; a free one when left out. */
  readonly port?: number
  /** The host that clients know it by, with TLS; it goes on to be reached by `url`. */
  readonly publicHost?: string
  /** More settings; names as in the environment. */
  readonly env?: Readonly<Record<string, string>>
  /** A folder that already holds data, to start on again; it is left there. */
  readonly dataDir?: string
  readonly admin?: Credentials
}

/**
 * Starts the system for one test; it is stopped, and its data removed, when the test ends. It is the one of
 * `npm start`, or with `E2E_TARGET=stack` the one of `npm run stack`, two processes of each service.
 */
export async function startSystem(t: Test, options: SystemOptions = {}): Promise<System> {
  return process.env['E2E_TARGET'] === 'stack' ? startStack(t, options) : startEmbedded(t, options)
}

/** The same on the ports that the product has by default, where they are free. */
export async function startAtPorts(t: Test): Promise<System> {
  const isFree = (port: number) =>
    ensureFree('0.0.0.0', port).then(
      () => true,
      () => false,
    )
  if (process.env['E2E_TARGET'] !== 'stack') return startSystem(t)
  const release = await takeTurn('default-ports')
  const system =
    (await isFree(8443)) && (await isFree(8500))
      ? await startSystem(t, { port: 8443, env: { REGISTRY_PORT: '8500' } })
      : await startSystem(t)
  // Teardowns run last to first: the system would be stopped after this one.
  t.teardown(() => system.stop().then(release))
  return system
}

/**
 * Waits until no other test file holds what there is only one of, and holds it. Answers what gives it back; a process
 * that ends gives it back, too. (An abstract socket, unix(7): it is a name, and no file that could be left behind.)
 */
async function takeTurn(name: string): Promise<() => void> {
  for (;;) {
    const server = createServer()
    const taken = once(server.listen(`\0registry-manager-tests/${name}`), 'listening')
    if (await taken.then(() => true).catch(() => false)) return () => void server.close()
    await sleep(200)
  }
}

/** Starts what `npm start` runs. */
export async function startEmbedded(t: Test, options: SystemOptions = {}): Promise<System> {
  const port = options.port ?? (await freePort())
  const host = `localhost:${port}`
  const where = { url: `http://${host}`, plainUrl: `http://${host}`, host, registryHost: host }
  return run(t, START, where, { ...options, env: { PORT: String(port), INTERNAL_PORT: '0', ...options.env } })
}

/** Starts what `npm run stack` runs; this process and its children trust its certificate from then on. */
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
  // None is there beside an operator's own certificate.
  if (!existsSync(authority)) return system
  setDefaultCACertificates([...getCACertificates(), await readFile(authority, 'utf8')])
  // Go's and OpenSSL's programs, and curl.
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
    const hear = (chunk: Buffer) => {
      output += chunk.toString()
      if (output.includes('Ctrl-C stops')) resolve()
    }
    child.stdout.on('data', hear)
    child.stderr.on('data', hear)
    void exit.then((code) => reject(new Error(`it ended with ${code}:\n${output}`)))
    setTimeout(() => reject(new Error(`it does not serve in time:\n${output}`)), START_MS).unref()
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

  const made = /password\s+(\S+)\s+\(shown this once\)/.exec(output)?.[1]
  const admin = options.admin ?? {
    username: 'admin',
    password: options.env?.['ADMIN_PASSWORD'] ?? made ?? '',
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

/** Makes a user over the API. */
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

/** What podman's and skopeo's `--tls-verify` is to be for a system. */
export function tlsVerify({ authority }: Pick<System, 'authority'>): boolean {
  return authority !== undefined
}

/** An Authorization header for Basic credentials. */
export function basic({ username, password }: Credentials): string {
  return `Basic ${Buffer.from(`${username}:${password}`).toString('base64')}`
}

/** A token of this scope, had as clients have it. */
export async function tokenFor(system: Reachable, who: Credentials, scope?: string): Promise<string> {
  const query = new URLSearchParams({ service: system.host, ...(scope !== undefined && { scope }) })
  const response = await fetch(`${system.url}/auth/v2/token?${query}`, {
    headers: { authorization: basic(who) },
  })
  if (response.status !== 200)
    throw new Error(`the token endpoint: ${response.status} ${await response.text()}`)
  return ((await response.json()) as { token: string }).token
}
