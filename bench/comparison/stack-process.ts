import { mkdirSync, readFileSync, symlinkSync } from 'node:fs'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'
import { freePort } from '../../deploy/local/free-port.ts'
import { startChild } from '../child.ts'
import { temporaryFolder } from '../cleanup.ts'
import { childrenOf, cpuSeconds } from '../cpu-time.ts'
import type { MemoryUse } from '../memory.ts'
import { watchMemory } from '../memory.ts'
import { basicOf } from '../stack.ts'

/** How nginx gets the content that it sends: the setting CONTENT_FROM of the stack. */
export type ContentFrom = 'volume' | 'cache'

const STACK = fileURLToPath(new URL('../../deploy/local/stack.js', import.meta.url))
const SERVICES = ['auth-service', 'image-manager', 'registry-proxy'] as const
/** The processes of the stack, with the names of their files. */
const KINDS = [
  ['nginx', 'nginx'],
  ['registry-proxy', 'registry-proxy-1'],
  ['image-manager', 'image-manager-1'],
  ['auth-service', 'auth-service-1'],
  ['Postgres', 'postgres'],
  ['registry', 'registry'],
] as const
/** Tokens that are requested at the same time. */
const TOKENS_AT_ONCE = 16
/** Time for which a token is used. Tokens live for five minutes. */
const TOKENS_MS = 120_000

/** The settings of `npm run stack` with one replica of each service. */
export interface StackProcess {
  /** URL of the port without TLS, which is also the public URL. */
  readonly origin: string
  /** Folder of the registry's storage. */
  readonly images: string
  readonly administrator: { readonly username: string; readonly password: string }
  /** Returns this number of different Authorization headers with tokens of the administrator. */
  authorizations(scope: string, count: number): Promise<readonly string[]>
  /** Watches the resident memory of each service and of nginx until the returned function is called. */
  watchMemory(): () => ReadonlyMap<string, MemoryUse>
  /** Returns the CPU time that each kind of process has used, in seconds. */
  cpuSeconds(): ReadonlyMap<string, number>
}

/**
 * Starts the program of `npm run stack`. `images` is a storage that another stack uses at the same time: the registries
 * of both use it, so that content is pushed once.
 */
export async function startStackProcess(contentFrom: ContentFrom, images?: string): Promise<StackProcess> {
  const dataDir = join(await temporaryFolder(), 'data')
  mkdirSync(dataDir)
  if (images !== undefined) symlinkSync(images, join(dataDir, 'images'))
  const ports: Record<string, string> = {}
  for (const name of ['HTTPS_PORT', 'REGISTRY_PORT', 'HTTP_PORT', 'INTERNAL_PORT'])
    ports[name] = String(await freePort())
  const origin = `http://127.0.0.1:${ports['HTTP_PORT']}`
  const administrator = { username: 'admin', password: 'bench-of-this-machine' }
  await startChild({
    name: `the stack with CONTENT_FROM=${contentFrom}`,
    command: process.execPath,
    args: [STACK],
    env: {
      ...process.env,
      ...ports,
      DATA_DIR: dataDir,
      DATABASE_URL: undefined,
      REPLICAS: '1',
      PUBLIC_URL: origin,
      ADMIN_USERNAME: administrator.username,
      ADMIN_PASSWORD: administrator.password,
      CONTENT_FROM: contentFrom,
      // No background work during a measurement.
      RECONCILE_INTERVAL_SECONDS: '0',
    },
    log: join(dataDir, '..', 'log'),
    isReady: (printed) => printed.includes('Ctrl-C stops'),
  })
  const basic = basicOf(administrator.username, administrator.password)
  return {
    origin,
    images: join(dataDir, 'images'),
    administrator,
    authorizations: reuse((scope, count) => requestTokens(`${origin}/auth/v2/token`, basic, scope, count)),
    watchMemory: () => watchProcesses(join(dataDir, 'run')),
    cpuSeconds: () =>
      new Map(KINDS.map(([kind, name]) => [kind, cpuSeconds(readPid(join(dataDir, 'run'), name))])),
  }
}

/** Repeats the result of the same request for a while: clients use a token more than once. */
function reuse(request: StackProcess['authorizations']): StackProcess['authorizations'] {
  const known = new Map<string, { readonly tokens: readonly string[]; readonly until: number }>()
  return async (scope, count) => {
    const key = `${count} ${scope}`
    const found = known.get(key)
    if (found !== undefined && performance.now() < found.until) return found.tokens
    const tokens = await request(scope, count)
    known.set(key, { tokens, until: performance.now() + TOKENS_MS })
    return tokens
  }
}

async function requestTokens(
  url: string,
  authorization: string,
  scope: string,
  count: number,
): Promise<readonly string[]> {
  const tokens = new Set<string>()
  const request = async (number: number) => {
    const query = new URLSearchParams({ service: new URL(url).host, scope })
    // auth-service issues the same token to requests for the same access.
    if (count > 1) query.append('scope', `repository:bench/number-${number}:pull`)
    const response = await fetch(`${url}?${query}`, { headers: { authorization } })
    if (!response.ok) throw new Error(`the token endpoint: ${response.status} ${await response.text()}`)
    tokens.add(`Bearer ${((await response.json()) as { token: string }).token}`)
  }
  for (let left = count; left > 0; left -= TOKENS_AT_ONCE)
    await Promise.all(Array.from({ length: Math.min(left, TOKENS_AT_ONCE) }, (_, at) => request(left - at)))
  if (tokens.size !== count) throw new Error(`${count} requests gave ${tokens.size} different tokens`)
  return [...tokens]
}

function readPid(folder: string, name: string): number {
  return Number(readFileSync(join(folder, `${name}.pid`), 'utf8'))
}

/** Watches the processes whose ids the stack wrote into the files of a folder. */
function watchProcesses(folder: string): () => ReadonlyMap<string, MemoryUse> {
  const pidOf = (name: string) => readPid(folder, name)
  const services = SERVICES.map((name) => [name, watchMemory(pidOf(`${name}-1`))] as const)
  const nginx = [pidOf('nginx'), ...childrenOf(pidOf('nginx'))].map((pid) =>
    // The cache loader ends after its work.
    watchMemory(pid, { isToEnd: true }),
  )
  return () => {
    const uses = new Map(services.map(([name, finish]) => [name as string, finish()]))
    const sum = { before: 0, peak: 0 }
    for (const finish of nginx) {
      const { before, peak } = finish()
      sum.before += before
      sum.peak += peak
    }
    return uses.set('nginx, all its processes', sum)
  }
}
