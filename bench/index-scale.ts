import type { Read } from './client/read.ts'
import { read } from './clients.ts'
import { fillIndex, walkCatalog } from './index-contents.ts'
import { watchMemory } from './memory.ts'
import { writeRepositories } from './registry-layout.ts'
import type { Stack } from './stack.ts'
import { startStack } from './stack.ts'
import type { Table } from './table.ts'
import { formatMiB, formatRate, formatRatio, judge, median, p99, timesOf } from './table.ts'
import { createUser } from './users.ts'

const [REPOSITORIES, FEW] = [100_000, 2000]
const [PAGE_MS, LIST_MS, BOUND_MIB] = [20, 1000, 250]
/** Numbers of connections and of requests on all of them. */
const LOADS = [
  [1, 400],
  [8, 800],
] as const
const ROUNDS = 5
const LIST = '/image-manager/api/v1/repositories'
const CATALOG = 'registry:catalog:*'
/** The first field of every repository's tags, which occurs in no manifest: its count is the number of repositories. */
const COUNTED = '"tags":['

type Timed = Pick<Read, 'origin' | 'headers' | 'paths'>

/**
 * Measures responses from an index of 100 000 repositories with ten tags each, and compares them with distribution's
 * catalog.
 */
export async function measureIndexScale(): Promise<Table> {
  const stack = await startStack()
  const { proxyUrl, imageManagerUrl, imageManagerPid, basic, token } = stack
  const faults: string[] = []
  const rows = await compareCatalogs(stack)
  await fillIndex(stack, { repositories: REPOSITORIES })

  const time = async (what: string, job: Timed, connections: number, requests: number, boundMs?: number) => {
    // Warms up the services with some requests.
    await read({ ...job, connections, requests: Math.ceil(requests / 4) })
    const { milliseconds } = await read({ ...job, connections, requests })
    const bound = boundMs === undefined ? '' : `${boundMs} ms`
    rows.push([what, `${connections}`, ...timesOf(milliseconds), bound, judge(p99(milliseconds), boundMs)])
  }

  const far = Array.from({ length: 50 }, (_, at) => `team-${String(at * 39).padStart(4, '0')}`)
  const principals = { administrator: basic, 'user of 50 namespaces': await createUser(stack, 'far', far) }
  for (const [credentials, password] of Object.entries(principals)) {
    const headers = { authorization: await token(password, CATALOG) }
    const { names, pages } = await walkCatalog(proxyUrl, headers)
    if (password === basic && names.length !== REPOSITORIES)
      faults.push(`the catalog has ${names.length} names`)
    for (const [which, at] of [
      ['first', 0],
      ['last', -1],
    ] as const) {
      const page = { origin: proxyUrl, headers, paths: pages.slice(at).slice(0, 1) }
      const what = `catalog, ${credentials}: ${which} page of ${pages.length}`
      for (const [connections, requests] of LOADS) await time(what, page, connections, requests, PAGE_MS)
    }
  }

  const managementOf = async (password: string) => ({
    origin: imageManagerUrl,
    headers: { authorization: await token(password) },
    paths: [LIST],
  })
  const user = await managementOf(await createUser(stack, 'large', ['large']))
  const details = Array.from({ length: 300 }, (_, at) => `${LIST}/large/app-${3 * at + 1}`)
  for (const [connections, requests] of LOADS) {
    await time('details of one repository', { ...user, paths: details }, connections, requests, PAGE_MS)
  }
  await time('list: a user of 1 000 repositories (and 495 global ones)', user, 1, 8, LIST_MS)
  const administrator = await managementOf(basic)
  await time(
    'search for one repository among all',
    { ...administrator, paths: [`${LIST}?search=app-77777`] },
    1,
    20,
  )

  const remember = async (what: string, slowly?: Read['slowly']) => {
    const watched = watchMemory(imageManagerPid)
    const job = { ...administrator, connections: 1, requests: 1, counted: COUNTED, slowly }
    const { milliseconds, bytes, count } = await read(job)
    const { peak } = watched()
    const seconds = (milliseconds[0] ?? 0) / 1000
    const took = [`${seconds.toFixed(1)} s`, formatRate(bytes, seconds)]
    rows.push([
      `${what}: ${count}`,
      '1',
      '1',
      ...took,
      formatMiB(BOUND_MIB),
      judge(peak, BOUND_MIB),
      formatMiB(peak),
    ])
    if (peak >= BOUND_MIB) faults.push(`${what}: ${formatMiB(peak)} is over the bound`)
    return count
  }
  const count = await remember('list: administrator')
  if (count !== REPOSITORIES) faults.push(`the complete list has ${count} repositories`)
  await remember('list: administrator, slow reader that disconnects', { bytesPerSecond: 4e6, seconds: 10 })

  return {
    title: `index-scale: ${REPOSITORIES} repositories with ten tags each; catalog (pages of 100) through the proxy, lists and details from image-manager with its peak of resident memory`,
    columns: ['', 'connections', 'requests', 'median', 'p99', 'bound', '', 'peak memory or ratio'],
    rows,
    faults,
  }
}

/** Reads all pages of the catalog from distribution and from the proxy, alternately. */
async function compareCatalogs(stack: Stack): Promise<string[][]> {
  const { proxyUrl, bareUrl, basic, token } = stack
  await fillIndex(stack, { repositories: FEW })
  const headers = { authorization: await token(basic, CATALOG) }
  const { names, pages } = await walkCatalog(proxyUrl, headers)
  await writeRepositories(stack.images, names)
  const theirs = await walkCatalog(bareUrl, {})
  if (theirs.names.join() !== names.join()) throw new Error("distribution's catalog differs from the proxy's")

  const [times, theirTimes]: [number[], number[]] = [[], []]
  for (let round = 0; round < ROUNDS; round += 1) {
    const job = { connections: 1, requests: pages.length }
    const their = await read({ ...job, origin: bareUrl, headers: {}, paths: theirs.pages })
    theirTimes.push(...their.milliseconds)
    times.push(...(await read({ ...job, origin: proxyUrl, headers, paths: pages })).milliseconds)
  }
  const row = (what: string, own: number[]) => {
    const ratio = formatRatio(median(own) / median(theirTimes))
    return [`catalog of ${names.length} names, all pages: ${what}`, '1', ...timesOf(own), '', '', ratio]
  }
  return [row('distribution itself', theirTimes), row('ours', times)]
}
