import { load } from './clients.ts'
import { pushImage } from './image.ts'
import { watchMemory } from './memory.ts'
import { startStack } from './stack.ts'
import type { Table } from './table.ts'
import { formatMiB, formatRate, formatRatio } from './table.ts'

const CLIENTS = 200
const PULLS = 3
const REPOSITORY = 'bench/rollout'

/** Measures many clients that pull one image at once, as during a rollout. */
export async function measureManyClients(): Promise<Table> {
  const stack = await startStack()
  const { proxyUrl, proxyPid, bareUrl, bearer } = stack
  const requests = await pushImage(stack, REPOSITORY, [5 * 1024 ** 2, 2048])
  const pulls = Array.from({ length: PULLS }, () => requests).flat()
  const bareLanes = Array.from({ length: CLIENTS }, () => pulls)
  const lanes: typeof bareLanes = []
  for (let client = 0; client < CLIENTS; client += 1) {
    // Each client has its own token, so the proxy verifies every one.
    const authorization = await bearer(REPOSITORY, 'pull')
    lanes.push(pulls.map(({ path, headers }) => ({ path, headers: { ...headers, authorization } })))
  }

  const bare = await load({ origin: bareUrl, lanes: bareLanes })
  const watched = watchMemory(proxyPid)
  const proxied = await load({ origin: proxyUrl, lanes })
  const memory = watched()

  const faults: string[] = []
  if (bare.errors > 0) faults.push(`bare registry: ${bare.errors} errors, first: ${bare.firstError}`)
  if (proxied.errors > 0) faults.push(`proxy: ${proxied.errors} errors, first: ${proxied.firstError}`)
  const row = (what: string, { requests, errors, bytes, seconds }: typeof bare) => [
    what,
    `${requests}`,
    `${errors}`,
    formatRate(bytes, seconds),
  ]
  return {
    title: `many-clients: ${CLIENTS} connections at once, each pulls one image (manifest, 5 MiB, 2 KiB) ${PULLS} times by Bearer`,
    columns: [
      '',
      'requests',
      'errors',
      'rate',
      'ratio to bare registry',
      'proxy memory before',
      'proxy memory peak',
    ],
    rows: [
      [...row('bare registry', bare), formatRatio(1), '', ''],
      [
        ...row('registry-proxy', proxied),
        formatRatio(proxied.bytes / proxied.seconds / (bare.bytes / bare.seconds)),
        formatMiB(memory.before),
        formatMiB(memory.peak),
      ],
    ],
    faults,
  }
}
