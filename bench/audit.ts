import { read } from './clients.ts'
import { runScript } from './index-contents.ts'
import { watchMemory } from './memory.ts'
import { startStack } from './stack.ts'
import type { Table } from './table.ts'
import { formatMiB, formatRate, judge, p99, timesOf } from './table.ts'

const EVENTS = 1_000_000
/** All events together are larger than BOUND_MIB: a stream that was held in memory would exceed the bound. */
const [PAGE_MS, BOUND_MIB] = [50, 500]
const REQUESTS = 100
const NDJSON = 'application/x-ndjson'
/** Every event has this text once. */
const COUNTED = '"requestId":'

/** Filters of few events, of many, and of none. All but one have one parameter. */
const FILTERS: readonly (readonly [what: string, query: string])[] = [
  ['no filter', ''],
  ['principal: 40 % of the events', 'principal=ci-0'],
  ['principal: 120 events', 'principal=ci-77'],
  ['principal: none', 'principal=unknown'],
  ['account: 200 events', 'account=ci-80'],
  ['account: none', 'account=unknown'],
  ['repository: a third of the events', 'repository=team/app-0'],
  ['repository: 60 events', 'repository=team/app-77'],
  ['repository: none', 'repository=team/none'],
  ['repository and tag: one of a third of the events', 'repository=team/app-0&tag=9'],
  ['action: most of the events', 'action=push'],
  ['action: 10 events', 'action=repository.scope'],
  ['action: none', 'action=keys.rotate'],
  ['outcome: done, most of the events', 'outcome=done'],
  ['outcome: refused, 5 % of the events', 'outcome=refused'],
  ['outcome: failed, none', 'outcome=failed'],
  ['until: half of the events', `until=${daysAgo(150)}`],
  ['since: one day', `since=${daysAgo(1)}`],
]

/** Measures pages of the audit API with each filter among a million events, and a stream of all of them. */
export async function measureAudit(): Promise<Table> {
  const stack = await startStack()
  const { authUrl: origin, authPid, basic, token } = stack
  await runScript(stack, 'event-rows.sql', { events: EVENTS })
  const headers = { authorization: await token(basic) }
  const faults: string[] = []
  const rows: string[][] = []

  for (const [what, query] of FILTERS) {
    const first = `/audit?limit=200&${query}`
    for (const [which, path] of [
      ['first page', first],
      ['page in the middle', `${first}&after=${Date.now() - 150 * 86_400_000}000-${EVENTS / 2}`],
    ] as const) {
      const job = { origin, headers, paths: [path], connections: 1 }
      await read({ ...job, requests: 10 })
      const { milliseconds, count } = await read({ ...job, requests: REQUESTS, counted: COUNTED })
      const times = timesOf(milliseconds)
      const events = `${count / REQUESTS}`
      rows.push([
        `${what}: ${which}`,
        events,
        ...times,
        `${PAGE_MS} ms`,
        judge(p99(milliseconds), PAGE_MS),
        '',
      ])
    }
  }

  const watched = watchMemory(authPid)
  const all = {
    origin,
    headers: { ...headers, accept: NDJSON },
    paths: ['/audit'],
    connections: 1,
    requests: 1,
  }
  const { milliseconds, bytes, count } = await read({ ...all, counted: COUNTED })
  const { before, peak } = watched()
  const seconds = (milliseconds[0] ?? 0) / 1000
  const took = [`${seconds.toFixed(1)} s`, formatRate(bytes, seconds)]
  rows.push([
    'stream of all events',
    `${count}`,
    '1',
    ...took,
    formatMiB(BOUND_MIB),
    judge(peak, BOUND_MIB),
    `${formatMiB(before)} → ${formatMiB(peak)}`,
  ])
  // Sign-ins of the measurement itself may have added events.
  if (count < EVENTS) faults.push(`the stream has ${count} events`)
  if (peak >= BOUND_MIB) faults.push(`the stream: ${formatMiB(peak)} is over the bound`)

  return {
    title: `audit: ${EVENTS} events; pages of 200 from auth-service, and a stream with resident memory before it and its peak`,
    columns: ['', 'events', 'requests', 'median', 'p99', 'bound', '', 'memory'],
    rows,
    faults,
  }
}

function daysAgo(days: number): string {
  return new Date(Date.now() - days * 86_400_000).toISOString()
}
