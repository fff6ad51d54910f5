import { runScript } from './index-contents.ts'
import { watchMemory } from './memory.ts'
import type { Stack } from './stack.ts'
import { startStack } from './stack.ts'
import type { Table } from './table.ts'
import { formatMiB, median, toGoal } from './table.ts'

const [MANIFESTS, BOUND_MIB] = [1_000_000, 250]
/** A token lives for five minutes only. */
const TOKEN_MS = 120_000
const RULES = [
  {
    name: 'builds',
    repositories: 'team/*',
    tags: '*',
    keep: { last: 20, matching: 'build-1.*5' },
    untaggedAfterDays: 10,
  },
]

interface Page {
  readonly items?: readonly unknown[]
  readonly next?: string | null
}

/** A list in pages: its URL, with a query, and the body of each request if it is a POST. */
interface List {
  readonly name: string
  readonly path: string
  readonly body?: object
  /** The number of items of all pages; not checked if undefined. */
  readonly items?: number
}

const LISTS: readonly List[] = [
  {
    name: 'dry run of retention, pages of 1,000',
    path: '/namespaces/team/retention/dry-run?limit=1000',
    body: { rules: RULES },
    items: MANIFESTS,
  },
  { name: 'storage report', path: '/storage?' },
  { name: 'storage report, namespaces', path: '/storage/namespaces?limit=100', items: 1001 },
  { name: 'storage report, repositories', path: '/storage/repositories?limit=100', items: 1100 },
]
/**
 * Measures the lists of an index of 1,000,000 manifests that image-manager computes page by page, and its resident
 * memory. image-manager has the flags of its `start` script.
 */
export async function measureSpaceScale(): Promise<Table> {
  const stack = await startStack()
  await runScript(stack, 'space-rows.sql', { manifests: MANIFESTS })
  const faults: string[] = []
  const rows: string[][] = []
  let worst = 0
  for (const list of LISTS) {
    const watched = watchMemory(stack.imageManagerPid)
    const { milliseconds, items } = await readPages(stack, list)
    const { peak } = watched()
    worst = Math.max(worst, peak)
    if (list.items !== undefined && items !== list.items)
      faults.push(`${list.name}: ${items} items instead of ${list.items}`)
    const times = [median(milliseconds), Math.max(...milliseconds)].map((time) => `${time.toFixed(1)} ms`)
    rows.push([list.name, `${milliseconds.length}`, `${items}`, ...times, formatMiB(peak)])
  }
  if (worst > BOUND_MIB)
    faults.push(`image-manager used ${formatMiB(worst)}, more than ${formatMiB(BOUND_MIB)}`)
  const goal = {
    case: `image-manager's resident memory: dry run and storage report of 1,000,000 manifests`,
    values: '',
  }
  return {
    title: `space-scale: lists of ${MANIFESTS} manifests in 100 repositories, one page after another`,
    columns: ['', 'pages', 'items', 'median page', 'longest page', 'peak memory'],
    rows,
    faults,
    goals: [toGoal(goal, { atMost: BOUND_MIB }, worst, formatMiB)],
  }
}

/** Reads the pages of a list. Returns the time of each and the number of items. */
async function readPages({ imageManagerUrl, token, basic }: Stack, { path, body }: List) {
  const milliseconds: number[] = []
  let [items, authorization, since] = [0, '', -Infinity]
  for (let next: string | null | undefined = ''; next != null;) {
    if (performance.now() - since > TOKEN_MS) {
      authorization = await token(basic)
      since = performance.now()
    }
    const begin = performance.now()
    const after: string = next === '' ? '' : `&after=${encodeURIComponent(next)}`
    const response: Response = await fetch(`${imageManagerUrl}${path}${after}`, {
      headers: { authorization, ...(body && { 'content-type': 'application/json' }) },
      ...(body && { method: 'POST', body: JSON.stringify(body) }),
    })
    const text = await response.text()
    milliseconds.push(performance.now() - begin)
    if (!response.ok) throw new Error(`${path}${after}: ${response.status} ${text}`)
    const page = JSON.parse(text) as Page
    items += page.items?.length ?? 0
    next = page.next
  }
  return { milliseconds, items }
}
