import type { LoadRequest } from './client/load.ts'
import { load } from './clients.ts'
import type { FilledStack } from './growth-index.ts'
import { READS, pushTargets, startFilled } from './growth-index.ts'
import type { IndexContents } from './index-contents.ts'
import { pushMany } from './push.ts'
import type { Table } from './table.ts'
import { formatRatio, judge, median, p99 } from './table.ts'

/** Ten tags, ten tags, three tags. */
const SIZES: readonly IndexContents[] = [
  { repositories: 10_000, manifests: 5, tags: 2 },
  { repositories: 100_000, manifests: 5, tags: 2 },
  { repositories: 1_000_000, manifests: 3, tags: 1 },
]
const [CONNECTIONS, ROUNDS] = [[1, 8, 32], 3] as const
/** Numbers of requests in a round, on all connections. */
const [READ_REQUESTS, PUSHES] = [1600, 96]
/** The goals of these operations at the largest index, as a multiple of the time at the smallest. */
const GOALS: Readonly<Record<string, number>> = {
  'manifest by tag': 1.5,
  'catalog page of 100': 1.5,
  'push of a manifest with a new tag': 1.5,
}
/** The goal of a catalog page, on this many connections to an index of this many repositories. */
const PAGE = { name: 'catalog page of 100', connections: 8, repositories: 100_000, p99: 20 }

/** Runs some requests on some connections. Returns the time of each in milliseconds. */
type Run = (stack: FilledStack, connections: number) => Promise<readonly number[]>

/**
 * Measures how the times of requests grow with the index. Three stacks run side by side and are measured in turn, so
 * that other load on the machine, and the warming of the services, affect all sizes alike.
 */
export async function measureGrowth(): Promise<Table> {
  const stacks: FilledStack[] = []
  for (const contents of SIZES) stacks.push(await startFilled(contents))
  const cases: Readonly<Record<string, Run>> = {
    ...Object.fromEntries(Object.entries(READS).map(([name, requestsOf]) => [name, readsOf(requestsOf)])),
    'push of a manifest with a new tag': async (stack, connections) =>
      pushMany({
        origin: stack.proxyUrl,
        targets: await pushTargets(stack),
        connections,
        pushes: PUSHES,
      }),
  }

  const rows: string[][] = []
  for (const [name, run] of Object.entries(cases)) {
    for (const connections of CONNECTIONS) {
      const rounds = await alternate(stacks, (stack) => run(stack, connections))
      const ratio = median(
        rounds.at(-1)?.map((times, round) => median(times) / median(rounds[0]?.[round] ?? [])) ?? [],
      )
      const goal = GOALS[name]
      const isPage = name === PAGE.name && connections === PAGE.connections
      const times = rounds.flatMap((each, at) => {
        const all = each.flat()
        const bound = isPage && SIZES[at]?.repositories === PAGE.repositories ? PAGE.p99 : undefined
        const verdict = bound === undefined ? '' : ` (${judge(p99(all), bound)} ${bound} ms)`
        return [`${median(all).toFixed(2)} ms`, `${p99(all).toFixed(1)} ms${verdict}`]
      })
      const bound = goal === undefined ? '' : formatRatio(goal)
      rows.push([name, `${connections}`, ...times, formatRatio(ratio), bound, judge(ratio, goal)])
    }
  }
  const sizes = SIZES.flatMap(({ repositories }) => [`${repositories.toLocaleString('en')}: median`, 'p99'])
  return {
    title: `growth: requests through registry-proxy, by the number of repositories in the index (ten tags each, three at the largest), ${ROUNDS} rounds in turn`,
    columns: ['', 'connections', ...sizes, 'largest to smallest', 'goal', ''],
    rows,
    faults: [],
  }
}

/** Runs on each stack in turn, several rounds after one that warms up. Returns the times by stack and round. */
async function alternate(
  stacks: readonly FilledStack[],
  run: (stack: FilledStack) => Promise<readonly number[]>,
): Promise<(readonly number[])[][]> {
  const times = stacks.map((): (readonly number[])[] => [])
  for (let round = -1; round < ROUNDS; round += 1) {
    for (const [at, stack] of stacks.entries()) {
      const milliseconds = await run(stack)
      if (round >= 0) times[at]?.push(milliseconds)
    }
  }
  return times
}

/** Throws on the first failed request. */
function readsOf(requestsOf: (stack: FilledStack) => Promise<LoadRequest[]>): Run {
  return async (stack, connections) => {
    const requests = await requestsOf(stack)
    const lanes = Array.from({ length: connections }, (_, lane) =>
      Array.from({ length: READ_REQUESTS / connections }, (_, at) => {
        // Steps of a prime number, so that successive requests are for different parts of the index.
        const which = ((at * connections + lane) * 197) % requests.length
        return requests[which] as LoadRequest
      }),
    )
    const { milliseconds, errors, firstError } = await load({ origin: stack.proxyUrl, lanes })
    if (errors > 0) throw new Error(`${errors} requests failed, the first: ${firstError}`)
    return milliseconds
  }
}
