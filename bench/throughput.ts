import type { LoadRequest } from './client/load.ts'
import { load, upload } from './clients.ts'
import { startNginxBefore } from './ingress.ts'
import { startStack } from './stack.ts'
import type { Table } from './table.ts'
import { formatPerSecond, formatRate, formatRatio, median } from './table.ts'

const REPOSITORY = 'bench/speed'
const UPLOAD_BYTES = 500e6

/** One of the compared servers. */
interface Side {
  readonly origin: string
  readonly authorization?: string
}

/**
 * Measures the proxy and nginx in front of it against the bare registry, alternately, so that other load on the machine
 * affects all.
 */
export async function measureThroughput(): Promise<Table> {
  const stack = await startStack()
  const { proxyUrl, bareUrl, bearer } = stack
  const faults: string[] = []
  const bare: Side = { origin: bareUrl }
  const authorization = await bearer(REPOSITORY, 'pull,push')
  const proxy: Side = { origin: proxyUrl, authorization }
  const nginx: Side = { origin: await startNginxBefore(stack), authorization }

  const pushBlob = async (bytes: number): Promise<string> => {
    const { digest } = await upload({ ...bare, repository: REPOSITORY, bytes })
    return `/v2/${REPOSITORY}/blobs/${digest}`
  }
  const large = await pushBlob(1024 ** 3)
  const medium: string[] = []
  for (let blob = 0; blob < 8; blob += 1) medium.push(await pushBlob(50 * 1024 ** 2))
  const tiny = await pushBlob(2)

  /** Pulls. Returns the rate in bytes or in requests. */
  const pull = async (side: Side, paths: string[], unit: 'bytes' | 'requests', seconds?: number) => {
    const { origin, authorization } = side
    const headers: Record<string, string> = authorization === undefined ? {} : { authorization }
    const lanes = paths.map((path): LoadRequest[] => [{ path, headers }])
    const result = await load({ origin, lanes, seconds })
    if (result.errors > 0) faults.push(`${origin}: ${result.errors} errors, first: ${result.firstError}`)
    return result[unit] / result.seconds
  }
  const push = async (side: Side) =>
    UPLOAD_BYTES / (await upload({ ...side, repository: REPOSITORY, bytes: UPLOAD_BYTES })).seconds

  const rows: string[][] = []
  const compare = async (
    what: string,
    rounds: number,
    run: (side: Side) => Promise<number>,
    unit = formatRate,
  ) => {
    const sides = [bare, proxy, nginx].map((side) => ({ side, rates: [] as number[] }))
    for (let round = 0; round < rounds; round += 1) {
      for (const { side, rates } of sides) rates.push(await run(side))
    }
    const [bareRate = 0, ...others] = sides.map(({ rates }) => median(rates))
    const compared = others.flatMap((rate) => [unit(rate, 1), formatRatio(rate / bareRate)])
    rows.push([what, unit(bareRate, 1), ...compared, `${rounds}`])
  }
  await compare('8 × 50 MiB blobs in parallel', 3, (side) => pull(side, medium, 'bytes'))
  await compare('one 1 GiB blob', 3, (side) => pull(side, [large], 'bytes'))
  const tinyLanes = Array.from({ length: 32 }, () => tiny)
  await compare(
    '2-byte blob, 32 connections',
    3,
    (side) => pull(side, tinyLanes, 'requests', 2),
    formatPerSecond,
  )
  await compare('upload of 500 MB', 2, push)
  return {
    title:
      'throughput: registry-proxy, nginx in front of it, and a bare registry on the same storage, alternately',
    columns: [
      '',
      'bare registry',
      'proxy',
      'ratio to bare registry',
      'nginx',
      'ratio to bare registry',
      'runs (median shown)',
    ],
    rows,
    faults,
  }
}
