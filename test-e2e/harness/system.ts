import { spawn } from 'node:child_process'
import { once } from 'node:events'
import { mkdtemp, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'
import type { Test } from 'tap'
import { freePort } from '../../deploy/local/free-port.ts'

/** What `npm start` runs. */
export const START = fileURLToPath(new URL('../../deploy/local/start.js', import.meta.url))
const START_MS = 120_000

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

/** registry-manager as `npm start` runs it, on a port and in a folder of its own. */
export interface System extends Reachable {
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
  /** A free one when left out. */
  readonly port?: number
  /** More settings; names as in the environment. */
  readonly env?: Readonly<Record<string, string>>
  /** A folder that already holds data, to start on again; it is left there. */
  readonly dataDir?: string
  readonly admin?: Credentials
}

/** Starts the system for one test file; it is stopped, and its data removed, when the test ends. */
export async function startSystem(t: Test, options: SystemOptions = {}): Promise<System> {
  const dataDir = options.dataDir ?? (await mkdtemp(join(tmpdir(), 'registry-manager-')))
  const port = options.port ?? (await freePort())
  const child = spawn(process.execPath, [START], {
    env: { ...process.env, PORT: String(port), DATA_DIR: dataDir, ...options.env },
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

  const host = `localhost:${port}`
  const url = `http://${host}`
  const made = /password\s+(\S+)\s+\(shown this once\)/.exec(output)?.[1]
  const admin = options.admin ?? {
    username: 'admin',
    password: options.env?.['ADMIN_PASSWORD'] ?? made ?? '',
  }
  return {
    url,
    host,
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
