import { setTimeout as sleep } from 'node:timers/promises'
import { connectPostgres } from '../packages/database/src/connect.ts'
import { load } from './clients.ts'
import { cpuSeconds } from './cpu-time.ts'
import { pushBlobs, pushMany } from './push.ts'
import type { Stack } from './stack.ts'
import { startStack } from './stack.ts'
import type { Table } from './table.ts'
import { formatPerSecond, formatRatio, median, toGoal } from './table.ts'

const REPOSITORY = 'bench/pulls'
const [CONNECTIONS, IMAGES, ROUNDS, SECONDS] = [16, 200, 6, 1]
/** registry-proxy sends its counts every five seconds. */
const SENT_MS = 11_000

type Which = 'counted' | 'not counted'

/**
 * Measures decisions about manifests, as nginx asks for them, through a registry-proxy that counts pulls and one that
 * does not, in alternating rounds. Requests name many images in turn, so many counts are kept.
 */
export async function measurePulls(): Promise<Table> {
  const stack = await startStack()
  const proxies: Record<Which, Awaited<ReturnType<Stack['startProxy']>>> = {
    counted: await stack.startProxy('services/registry-proxy/src/main.ts'),
    'not counted': await stack.startProxy('bench/registry-proxy-without-pulls.ts'),
  }
  const references = await pushBlobs(stack, REPOSITORY)
  const authorization = await stack.bearer(REPOSITORY, 'pull,push')
  const targets = [{ repository: REPOSITORY, authorization, references }]
  await pushMany({ origin: stack.proxyUrl, targets, connections: 4, pushes: IMAGES })

  const faults: string[] = []
  const rows: string[][] = []
  let [requested, worst] = [0, Infinity]
  for (const [kind, references] of Object.entries(await readNames(stack))) {
    const lanes = lanesOf(references, authorization)
    const rates: Record<Which, number[]> = { counted: [], 'not counted': [] }
    const costs: Record<Which, number[]> = { counted: [], 'not counted': [] }
    const measure = async (which: Which, isWarm: boolean) => {
      const { url: origin, pid } = proxies[which]
      const before = cpuSeconds(pid)
      const { requests, seconds, errors, firstError } = await load({ origin, lanes, seconds: SECONDS })
      if (errors > 0) faults.push(`${kind}, ${which}: ${errors} failed, first: ${firstError}`)
      if (which === 'counted') requested += requests
      if (!isWarm) return
      rates[which].push(requests / seconds)
      costs[which].push(((cpuSeconds(pid) - before) / requests) * 1e6)
    }
    for (let round = 0; round <= ROUNDS; round += 1) {
      const order: Which[] = round % 2 === 0 ? ['counted', 'not counted'] : ['not counted', 'counted']
      for (const which of order) await measure(which, round > 0)
    }
    const ratio = median(rates.counted) / median(rates['not counted'])
    worst = Math.min(worst, ratio)
    for (const which of ['not counted', 'counted'] as const) {
      const [rate, cost] = [formatPerSecond(median(rates[which]), 1), Math.round(median(costs[which]))]
      rows.push([`by ${kind}, ${which}`, rate, `${cost} µs`, which === 'counted' ? formatRatio(ratio) : ''])
    }
  }
  await sleep(SENT_MS)
  const counted = await countPulls(stack)
  if (counted !== requested) faults.push(`${requested} pulls were made, ${counted} were counted`)
  const goal = { case: 'decisions with counts of pulls', values: `${counted} pulls counted` }
  return {
    title: `pulls: decisions about ${IMAGES} manifests for nginx, ${CONNECTIONS} connections, ${ROUNDS} alternating rounds of ${SECONDS} s`,
    columns: ['', 'decisions', "proxy's CPU time of each", 'ratio'],
    rows,
    faults,
    goals: [toGoal(goal, { atLeast: 0.95 }, worst, formatRatio)],
  }
}

/** Every lane begins with another image. The requests are those of nginx, which then sends the manifest itself. */
function lanesOf(references: readonly string[], authorization: string) {
  const headers = { authorization, 'x-decide-only': '1', 'x-content-from': 'volume' }
  const requests = references.map((reference) => ({
    path: `/v2/${REPOSITORY}/manifests/${reference}`,
    headers,
  }))
  return Array.from({ length: CONNECTIONS }, (_, lane) => {
    const at = Math.floor((lane * requests.length) / CONNECTIONS)
    return [...requests.slice(at), ...requests.slice(0, at)]
  })
}

async function readNames({ databaseUrl }: Stack): Promise<Record<'tag' | 'digest', string[]>> {
  const db = connectPostgres(databaseUrl)
  try {
    const tags = await db.selectFrom('tags').select(['name', 'digest']).execute()
    return { tag: tags.map(({ name }) => name), digest: tags.map(({ digest }) => digest) }
  } finally {
    await db.destroy()
  }
}

async function countPulls({ databaseUrl }: Stack): Promise<number> {
  const db = connectPostgres(databaseUrl)
  try {
    const { pulls } = await db
      .selectFrom('manifest_pulls')
      .select((eb) => eb.fn.sum('pulls').as('pulls'))
      .executeTakeFirstOrThrow()
    return Number(pulls)
  } finally {
    await db.destroy()
  }
}
