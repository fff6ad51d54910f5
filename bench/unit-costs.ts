import { pushContent } from './comparison/content.ts'
import type { Content } from './comparison/content.ts'
import { REPOSITORY, bareSide, sideOf } from './comparison/side.ts'
import { startStackProcess } from './comparison/stack-process.ts'
import type { StackProcess } from './comparison/stack-process.ts'
import type { WrkRequest } from './comparison/wrk.ts'
import { runWrk } from './comparison/wrk.ts'
import { temporaryFolder } from './cleanup.ts'
import { registryBinary, startBareRegistry } from './registries.ts'
import { basicOf } from './stack.ts'
import type { Table } from './table.ts'

const [CONNECTIONS, SECONDS] = [32, 5]
/** More targets than nginx can see again while it remembers a decision. */
const TARGETS = 40_000
const TOKEN_PATH = `/auth/v2/token?scope=repository:${REPOSITORY}:pull`

interface Operation {
  readonly name: string
  readonly requests: readonly WrkRequest[]
  readonly bytes: number
}

/**
 * Measures the CPU time that a request costs each kind of process: the numbers of the capacity model in
 * docs/scaling.md.
 */
export async function measureUnitCosts(): Promise<Table> {
  const stack = await startStackProcess('volume')
  // Blobs are pushed without a stack.
  const bare = bareSide('bare registry', await startBareRegistry(registryBinary(), stack.images))
  const content = await pushContent([bare, sideOf(stack, 'volume')])
  const folder = await temporaryFolder()
  const kinds = [...stack.cpuSeconds().keys()]
  const faults: string[] = []
  const rows: string[][] = []
  for (const { name, requests, bytes } of await operationsOf(stack, content)) {
    const job = { origin: stack.origin, requests, connections: CONNECTIONS, bodyBytes: bytes, folder }
    await runWrk({ ...job, seconds: 1 })
    const before = stack.cpuSeconds()
    const { rate, failed, fault } = await runWrk({ ...job, seconds: SECONDS })
    const after = stack.cpuSeconds()
    if (failed > 0) faults.push(`${name}: ${failed} failed, first: ${fault}`)
    const costs = kinds.map((kind) => ((after.get(kind) ?? 0) - (before.get(kind) ?? 0)) / (rate * SECONDS))
    rows.push([
      name,
      `${Math.round(rate)}/s`,
      ...costs.map(formatMicroseconds),
      formatMicroseconds(sumOf(costs)),
    ])
  }
  return {
    title: `unit-costs: CPU time of one request in µs, by kind of process; ${CONNECTIONS} connections, CONTENT_FROM=volume`,
    columns: ['', 'rate', ...kinds, 'all'],
    rows,
    faults,
  }
}

async function operationsOf(stack: StackProcess, content: Content): Promise<readonly Operation[]> {
  const { administrator } = stack
  const [authorization = ''] = await stack.authorizations(`repository:${REPOSITORY}:pull`, 1)
  const [catalog = ''] = await stack.authorizations('registry:catalog:*', 1)
  const headers = { authorization, accept: 'application/vnd.oci.image.manifest.v1+json' }
  const blob = `/v2/${REPOSITORY}/blobs/${content.config.digest}`
  const basic = { authorization: basicOf(administrator.username, administrator.password) }
  const small = { bytes: content.config.size }
  return [
    { name: 'blob, cached decision', requests: [{ path: blob, headers }], ...small },
    {
      name: 'blob, new decision',
      requests: Array.from({ length: TARGETS }, (_, target) => ({ path: `${blob}?n=${target}`, headers })),
      ...small,
    },
    {
      name: 'manifest by tag',
      requests: [{ path: `/v2/${REPOSITORY}/manifests/latest`, headers }],
      bytes: content.manifest.size,
    },
    { name: 'access token, password', requests: [{ path: TOKEN_PATH, headers: basic }], bytes: 0 },
    {
      name: 'tag list',
      requests: [{ path: `/v2/${REPOSITORY}/tags/list`, headers }],
      bytes: 0,
    },
    {
      name: 'catalog page',
      requests: [{ path: '/v2/_catalog', headers: { authorization: catalog } }],
      bytes: 0,
    },
  ]
}

function formatMicroseconds(seconds: number): string {
  return `${Math.round(seconds * 1e6)}`
}

function sumOf(numbers: readonly number[]): number {
  return numbers.reduce((sum, one) => sum + one, 0)
}
