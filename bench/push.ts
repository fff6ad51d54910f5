import { randomUUID } from 'node:crypto'
import { connectPostgres } from '../packages/database/src/connect.ts'
import { upload } from './clients.ts'
import type { Stack } from './stack.ts'
import { startStack } from './stack.ts'
import type { Table } from './table.ts'
import { formatPerSecond, formatRatio, median } from './table.ts'

const REPOSITORY = 'bench/pushes'
const MANIFEST_TYPE = 'application/vnd.oci.image.manifest.v1+json'
const CONFIG_TYPE = 'application/vnd.oci.image.config.v1+json'
const LAYER_TYPE = 'application/vnd.oci.image.layer.v1.tar'
const [CONNECTIONS, ROUNDS, PUSHES] = [[1, 4], 9, 100] as const

/**
 * Measures pushes of new manifests, each with a new tag, into a known repository: through an image-manager that records
 * events and through one whose events never reach the database, in alternating rounds.
 */
export async function measurePush(): Promise<Table> {
  const stack = await startStack()
  const origins = {
    'with events': stack.proxyUrl,
    'without events': await stack.startProxyOf('bench/image-manager-without-events.ts'),
  }
  const references = await pushBlobs(stack, REPOSITORY)
  const faults: string[] = []
  const rows: string[][] = []
  for (const connections of CONNECTIONS) {
    // A token lives for five minutes only.
    const push = async (origin: string) => {
      const authorization = await stack.bearer(REPOSITORY, 'pull,push')
      const targets = [{ repository: REPOSITORY, authorization, references }]
      return pushMany({ origin, targets, connections, pushes: PUSHES })
    }
    const times = { 'with events': [] as number[], 'without events': [] as number[] }
    for (const origin of Object.values(origins)) await push(origin)
    for (let round = 0; round < ROUNDS; round += 1) {
      for (const [which, origin] of Object.entries(origins) as [keyof typeof origins, string][])
        times[which].push(...(await push(origin)))
    }
    const without = median(times['without events'])
    for (const [which, milliseconds] of Object.entries(times)) {
      const middle = median(milliseconds)
      const rate = formatPerSecond(connections, middle / 1000)
      rows.push([which, `${connections}`, `${middle.toFixed(2)} ms`, rate, formatRatio(middle / without)])
    }
  }
  const { events, manifests } = await countRows(stack)
  // Half of the pushes have an event.
  if (events * 2 !== manifests) faults.push(`${manifests} manifests have ${events} events`)
  return {
    title: `push: manifests with a new tag into a known repository, ${ROUNDS} alternating rounds of ${PUSHES}`,
    columns: ['', 'connections', 'median', 'pushes', 'ratio'],
    rows,
    faults,
  }
}

export interface PushTarget {
  readonly repository: string
  readonly authorization: string
  /** Fields of the manifests that reference blobs of the repository. */
  readonly references: object
}

export interface Pushes {
  readonly origin: string
  /** The connections use them in turn. */
  readonly targets: readonly PushTarget[]
  readonly connections: number
  /** The number of pushes on all connections. */
  readonly pushes: number
}

/**
 * Pushes new manifests with new tags on some connections. Returns the time of each push in milliseconds. Throws on the
 * first failure.
 */
export async function pushMany({ origin, targets, connections, pushes }: Pushes): Promise<number[]> {
  const milliseconds: number[] = []
  const lane = async (_: unknown, at: number) => {
    const { repository, authorization, references } = targets[at % targets.length] as PushTarget
    const headers = { authorization, 'content-type': MANIFEST_TYPE }
    for (let pushed = 0; pushed < pushes / connections; pushed += 1) {
      const tag = randomUUID()
      const body = JSON.stringify({
        schemaVersion: 2,
        mediaType: MANIFEST_TYPE,
        ...references,
        annotations: { tag },
      })
      const url = `${origin}/v2/${repository}/manifests/${tag}`
      const begin = performance.now()
      const response = await fetch(url, { method: 'PUT', headers, body })
      const text = await response.text()
      if (response.status !== 201) throw new Error(`PUT of a manifest: ${response.status} ${text}`)
      milliseconds.push(performance.now() - begin)
    }
  }
  await Promise.all(Array.from({ length: connections }, lane))
  return milliseconds
}

interface Descriptor {
  readonly mediaType: string
  readonly digest: string
  readonly size: number
}

/** The fields of a manifest that reference blobs. */
export interface ImageReferences {
  readonly config: Descriptor
  readonly layers: readonly Descriptor[]
}

/** Pushes the blobs of an image to a repository. Returns the fields of a manifest that reference them. */
export async function pushBlobs(
  { bareUrl }: Pick<Stack, 'bareUrl'>,
  repository: string,
): Promise<ImageReferences> {
  const size = 1000
  const push = async (mediaType: string) => {
    const { digest } = await upload({ origin: bareUrl, repository, bytes: size })
    return { mediaType, digest, size }
  }
  return { config: await push(CONFIG_TYPE), layers: [await push(LAYER_TYPE)] }
}

async function countRows({ databaseUrl }: Stack): Promise<{ events: number; manifests: number }> {
  const db = connectPostgres(databaseUrl)
  try {
    const { rows: events } = await db
      .selectFrom('events')
      .select((eb) => eb.fn.countAll().as('rows'))
      .where('action', '=', 'push')
      .executeTakeFirstOrThrow()
    const { rows: manifests } = await db
      .selectFrom('manifests')
      .select((eb) => eb.fn.countAll().as('rows'))
      .executeTakeFirstOrThrow()
    return { events: Number(events), manifests: Number(manifests) }
  } finally {
    await db.destroy()
  }
}
