import { spawn } from 'node:child_process'
import { once } from 'node:events'
import { text } from 'node:stream/consumers'
import { setTimeout as sleep } from 'node:timers/promises'
import { fileURLToPath } from 'node:url'
import { MIGRATING, connectPostgres } from '../packages/database/src/connect.ts'
import { atEnd } from './cleanup.ts'
import { load } from './clients.ts'
import { watchMemory } from './memory.ts'
import { pushBlobs, pushMany } from './push.ts'
import { writeImages } from './registry-images.ts'
import type { Stack } from './stack.ts'
import { nodeFlags, startStack } from './stack.ts'
import type { Table } from './table.ts'
import { formatMiB, formatPerSecond, median, p99 } from './table.ts'

const COMMAND = fileURLToPath(new URL('../services/image-manager/src/reconcile-command.ts', import.meta.url))
const REPOSITORIES = 10_000
const BOUND_MIB = 200
const DONE = /^done: (\d+) repositories and (\d+) tags checked with (\d+) requests, (\d+) manifests adopted/m
/** The repository that clients push to and pull from. It is in the index before every run. */
const CLIENTS = 'bench/clients'
const [PULL_LANES, ROUND_SECONDS, ALONE_SECONDS] = [4, 2, 10]

/**
 * Measures the reconcile command on a registry of 10 000 repositories with one tag: with an empty index, with a
 * complete one, and with an empty index while one client pushes manifests and four pull a manifest. Also measures these
 * clients alone. The setting RECONCILE_CONCURRENCY applies.
 */
export async function measureReconcile(): Promise<Table> {
  const stack = await startStack()
  const names = Array.from(
    { length: REPOSITORIES },
    (_, index) => `team-${index % 100}/app-${Math.floor(index / 100)}`,
  )
  writeImages(stack.images, names)
  const faults: string[] = []
  const rows: string[][] = []
  const add = (what: string, run: Run | undefined, clients: Clients | undefined, expected = 0) => {
    rows.push([
      what,
      ...(run ? cellsOfRun(run) : NO_CELLS.slice(0, 4)),
      ...(clients ? cellsOfClients(clients) : NO_CELLS.slice(0, 3)),
    ])
    if (clients !== undefined && clients.failed > 0) faults.push(`${what}: ${clients.failed} pulls failed`)
    if (run === undefined) return
    // Reconcile adopts a manifest of a client that it finds before its push is recorded.
    if (run.adopted < expected) faults.push(`${what}: ${run.adopted} manifests were adopted`)
    if (run.peak > BOUND_MIB) faults.push(`${what}: ${formatMiB(run.peak)} is over the bound`)
  }

  add('adoption', await reconcile(stack), undefined, REPOSITORIES)
  add('no change', await reconcile(stack), undefined)
  const references = await pushBlobs(stack, CLIENTS)
  add('clients alone', undefined, await runClients(stack, references, sleep(ALONE_SECONDS * 1000)))
  await forgetRepositories(stack)
  const running = reconcile(stack)
  const clients = await runClients(stack, references, running)
  add('adoption and clients', await running, clients, REPOSITORIES)
  return {
    title: `reconcile: \`npm run reconcile\` on a file system registry, ${REPOSITORIES} repositories of one tag`,
    columns: ['', 'time', 'repositories', 'requests each', 'peak memory', 'push median', 'push p99', 'pulls'],
    rows,
    faults,
  }
}

const NO_CELLS = ['–', '–', '–', '–']

interface Run {
  readonly seconds: number
  /** Of resident memory, in MiB. */
  readonly peak: number
  readonly repositories: number
  readonly requests: number
  readonly adopted: number
}

function cellsOfRun({ seconds, peak, repositories, requests }: Run): string[] {
  const each = (requests / repositories).toFixed(2)
  return [`${seconds.toFixed(1)} s`, formatPerSecond(repositories, seconds), each, formatMiB(peak)]
}

/** Runs the command once. */
async function reconcile({ environment }: Stack): Promise<Run> {
  const begin = performance.now()
  const concurrency = process.env['RECONCILE_CONCURRENCY']
  const env = {
    ...environment,
    PATH: process.env['PATH'],
    ...(concurrency !== undefined && { RECONCILE_CONCURRENCY: concurrency }),
  }
  const args = [...nodeFlags('image-manager', 'reconcile'), COMMAND]
  const child = spawn(process.execPath, args, { env, stdio: ['ignore', 'pipe', 'inherit'], detached: true })
  atEnd(() => void child.kill('SIGKILL'))
  const memory = watchMemory(child.pid ?? 0, { isToEnd: true })
  const [output, [code]] = await Promise.all([text(child.stdout), once(child, 'exit')])
  const { peak } = memory()
  const [, repositories, , requests, adopted] = DONE.exec(output) ?? []
  if (code !== 0 || repositories === undefined) throw new Error(`reconcile failed with ${code}:\n${output}`)
  return {
    seconds: (performance.now() - begin) / 1000,
    peak,
    repositories: Number(repositories),
    requests: Number(requests),
    adopted: Number(adopted),
  }
}

interface Clients {
  /** The time of each push, in milliseconds. */
  readonly pushes: readonly number[]
  readonly pulls: number
  readonly pullSeconds: number
  readonly failed: number
}

function cellsOfClients({ pushes, pulls, pullSeconds }: Clients): string[] {
  const format = (milliseconds: number) => `${milliseconds.toFixed(1)} ms`
  return [format(median(pushes)), format(p99(pushes)), formatPerSecond(pulls, pullSeconds)]
}

/** Pushes manifests on one connection and pulls one on four, in rounds, until something has ended. */
async function runClients(stack: Stack, references: object, until: Promise<unknown>): Promise<Clients> {
  const ended = { isOver: false }
  const end = () => void (ended.isOver = true)
  until.then(end, end)
  const authorization = await stack.bearer(CLIENTS, 'pull,push')
  const path = `/v2/${CLIENTS}/manifests/latest`
  await pushLatest(`${stack.proxyUrl}${path}`, authorization, references)
  const targets = [{ repository: CLIENTS, authorization, references }]
  const pushes: number[] = []
  const pushing = (async () => {
    const job = { origin: stack.proxyUrl, targets, connections: 1, pushes: 10 }
    while (!ended.isOver) pushes.push(...(await pushMany(job)))
  })()
  const total = { pulls: 0, pullSeconds: 0, failed: 0 }
  while (!ended.isOver) {
    const lanes = Array.from({ length: PULL_LANES }, () => [{ path, headers: { authorization } }])
    const { requests, seconds, errors } = await load({
      origin: stack.proxyUrl,
      lanes,
      seconds: ROUND_SECONDS,
    })
    total.pulls += requests
    total.pullSeconds += seconds
    total.failed += errors
  }
  await pushing
  return { ...total, pushes }
}

/** Pushes the manifest that clients pull. */
async function pushLatest(url: string, authorization: string, references: object): Promise<void> {
  const mediaType = 'application/vnd.oci.image.manifest.v1+json'
  const headers = { authorization, 'content-type': mediaType }
  const body = JSON.stringify({ schemaVersion: 2, mediaType, ...references })
  const response = await fetch(url, { method: 'PUT', headers, body })
  if (response.status !== 201)
    throw new Error(`PUT of a manifest: ${response.status} ${await response.text()}`)
}

/** Removes all repositories from the index, except that of the clients. */
async function forgetRepositories({ databaseUrl }: Stack): Promise<void> {
  // One statement for thousands of repositories takes longer than a service may wait.
  const db = connectPostgres(databaseUrl, MIGRATING)
  try {
    await db.deleteFrom('all_repositories').where('name', '!=', CLIENTS).execute()
  } finally {
    await db.destroy()
  }
}
