import type { ChildProcess } from 'node:child_process'
import { spawn } from 'node:child_process'
import { once } from 'node:events'
import { existsSync, mkdirSync } from 'node:fs'
import { dirname, join } from 'node:path'
import { setTimeout as sleep } from 'node:timers/promises'
import { fileURLToPath } from 'node:url'
import type { Running } from './child.ts'
import { freePort } from './free-port.ts'

const CONFIG = join(dirname(dirname(fileURLToPath(import.meta.url))), 'registry', 'config.yml')
const START_MS = 20_000
/** What a registry that is told to stop may take, before it is made to. */
const STOP_MS = 3000

/** Where Linux can, it ends a child whose parent was killed and had no chance to. */
const END_WITH_US = existsSync('/usr/bin/setpriv') ? ['/usr/bin/setpriv', '--pdeathsig=TERM'] : []

export interface RegistryChildOptions {
  readonly binary?: string
  readonly image?: string
  /** Folder of the images. */
  readonly folder: string
  readonly httpSecret: string
  /** Loopback port; a free one when left out. */
  readonly port?: number
  readonly realm: string
  readonly service: string
  readonly issuer: string
  /** The authority's certificate, a file. */
  readonly authority: string
  /** Called with how it ended, when it ends without having been told to. */
  readonly onDeath: (reason: string) => void
}

export interface RegistryChild extends Running {
  readonly url: string
}

/** Runs the registry beside this process, on a loopback port of its own. Throws when it does not serve. */
export async function startRegistry(options: RegistryChildOptions): Promise<RegistryChild> {
  mkdirSync(options.folder, { recursive: true })
  const port = options.port ?? (await freePort())
  const child = spawnRegistry(options, port)
  let words = ''
  child.stderr?.on('data', (chunk: Buffer) => (words = (words + chunk.toString()).slice(-4000)))
  let stopping = false
  let ended: string | undefined
  child.on('error', (error) => (ended ??= error.message))
  child.on('exit', (code, signal) => (ended ??= signal ?? `exit ${code}: ${lastLine(words)}`))

  const url = `http://127.0.0.1:${port}`
  const deadline = Date.now() + START_MS
  while (!(await answers(url))) {
    if (ended !== undefined) throw new Error(`the registry does not start (${ended})`)
    if (Date.now() > deadline) {
      child.kill('SIGKILL')
      throw new Error(`the registry does not answer within ${START_MS / 1000} s: ${lastLine(words)}`)
    }
    await sleep(25)
  }
  child.on('exit', () => {
    if (!stopping) options.onDeath(ended ?? '')
  })
  return {
    url,
    pid: child.pid ?? 0,
    stop: async () => {
      stopping = true
      if (ended !== undefined) return
      const exit = once(child, 'exit')
      child.kill('SIGTERM')
      const force = setTimeout(() => child.kill('SIGKILL'), STOP_MS)
      await exit
      clearTimeout(force)
    },
  }
}

function spawnRegistry(options: RegistryChildOptions, port: number): ChildProcess {
  const { binary, image, folder, authority } = options
  const inContainer = binary === undefined
  const settings = {
    REGISTRY_HTTP_ADDR: `${inContainer ? '0.0.0.0' : '127.0.0.1'}:${port}`,
    REGISTRY_HTTP_SECRET: options.httpSecret,
    REGISTRY_STORAGE_FILESYSTEM_ROOTDIRECTORY: inContainer ? '/images' : folder,
    REGISTRY_AUTH_TOKEN_REALM: options.realm,
    REGISTRY_AUTH_TOKEN_SERVICE: options.service,
    REGISTRY_AUTH_TOKEN_ISSUER: options.issuer,
    REGISTRY_AUTH_TOKEN_ROOTCERTBUNDLE: inContainer ? '/authority.pem' : authority,
  }
  // Its own process group: a Ctrl-C is for us, and we end it once requests are done.
  const spawning = { detached: true, stdio: ['ignore', 'ignore', 'pipe'] as ['ignore', 'ignore', 'pipe'] }
  const env = { PATH: process.env['PATH'], HOME: process.env['HOME'], ...settings }
  if (binary !== undefined) {
    const [command = '', ...args] = [...END_WITH_US, binary, 'serve', CONFIG]
    return spawn(command, args, { ...spawning, env })
  }
  const mounts = [`${folder}:/images`, `${authority}:/authority.pem:ro`, `${CONFIG}:/config.yml:ro`]
  // Settings go by name: their values, a secret among them, are in no command line.
  const args = ['run', '--rm', '--init', '--user', `${process.getuid?.() ?? 0}:${process.getgid?.() ?? 0}`]
  args.push('--publish', `127.0.0.1:${port}:${port}`)
  for (const mount of mounts) args.push('--volume', mount)
  for (const name of Object.keys(settings)) args.push('--env', name)
  args.push(image ?? '', 'serve', '/config.yml')
  return spawn('docker', args, { ...spawning, env: { ...process.env, ...settings } })
}

async function answers(url: string): Promise<boolean> {
  const response = await fetch(`${url}/v2/`, { signal: AbortSignal.timeout(1000) }).catch(() => undefined)
  return response?.status === 401
}

function lastLine(words: string): string {
  return words.trim().split('\n').at(-1) ?? ''
}
