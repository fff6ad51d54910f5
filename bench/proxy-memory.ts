import { load, upload } from './clients.ts'
import { watchMemory } from './memory.ts'
import { startStack } from './stack.ts'
import type { Table } from './table.ts'
import { formatMiB, formatRate } from './table.ts'

const LAYER_BYTES = 2 * 1024 ** 3
const BOUND_MIB = 200
const REPOSITORY = 'bench/large'

/**
 * Measures the proxy's memory during the push and pull of a large layer. The pulled layer must have the pushed bytes.
 */
export async function measureProxyMemory(): Promise<Table> {
  const { proxyUrl, proxyPid, bearer } = await startStack()
  const faults: string[] = []
  const rows: string[][] = []
  const judge = (what: string, peak: number, ...cells: string[]) => {
    rows.push([what, formatMiB(peak), formatMiB(BOUND_MIB), ...cells])
    if (peak > BOUND_MIB) faults.push(`${what}: ${formatMiB(peak)} is over the bound`)
  }

  const pushing = watchMemory(proxyPid)
  const authorization = await bearer(REPOSITORY, 'pull,push')
  const pushed = await upload({ origin: proxyUrl, repository: REPOSITORY, bytes: LAYER_BYTES, authorization })
  const push = pushing()
  judge('push', push.peak, formatMiB(push.before), formatRate(LAYER_BYTES, pushed.seconds))

  const pulling = watchMemory(proxyPid)
  const headers = { authorization: await bearer(REPOSITORY, 'pull') }
  const path = `/v2/${REPOSITORY}/blobs/${pushed.digest}`
  const pulled = await load({ origin: proxyUrl, lanes: [[{ path, headers, digest: pushed.digest }]] })
  const pull = pulling()
  judge('pull', pull.peak, formatMiB(pull.before), formatRate(LAYER_BYTES, pulled.seconds))
  if (pulled.errors > 0) faults.push(`pull: ${pulled.firstError}`)

  rows.push(['both', formatMiB(Math.max(push.peak, pull.peak)), formatMiB(BOUND_MIB), '', ''])
  const title =
    'proxy-memory: resident memory of registry-proxy during the push (chunked PATCH) and pull (with digest check) of one 2 GiB layer'
  return { title, columns: ['', 'peak', 'bound', 'memory before', 'rate'], rows, faults }
}
