/**
 * Runs all measurements, or the named ones, one after another. Fails on errors and on too much memory, never on slow
 * times.
 */
import { availableParallelism, cpus, totalmem } from 'node:os'
import { measureAudit } from './audit.ts'
import { cleanUp, endWith } from './cleanup.ts'
import { measureIndexScale } from './index-scale.ts'
import { measureDirectorySignIn } from './directory-sign-in.ts'
import { measureManyClients } from './many-clients.ts'
import { measureProxyMemory } from './proxy-memory.ts'
import { measurePush } from './push.ts'
import { measureReconcile } from './reconcile.ts'
import { measureSignIn } from './sign-in.ts'
import { measureStarts } from './starts.ts'
import type { Table } from './table.ts'
import { formatTable } from './table.ts'
import { measureTokenSignIn } from './token-sign-in.ts'
import { measureThroughput } from './throughput.ts'

const MEASUREMENTS = new Map<string, () => Promise<Table>>([
  ['proxy-memory', measureProxyMemory],
  ['many-clients', measureManyClients],
  ['throughput', measureThroughput],
  ['push', measurePush],
  ['starts', measureStarts],
  ['sign-in', measureSignIn],
  ['index-scale', measureIndexScale],
  ['token-sign-in', measureTokenSignIn],
  ['reconcile', measureReconcile],
  ['directory-sign-in', measureDirectorySignIn],
  ['audit', measureAudit],
])

let stopping = false
for (const signal of ['SIGINT', 'SIGTERM', 'SIGHUP'] as const) {
  process.on(signal, () => {
    if (stopping) return
    stopping = true
    process.stderr.write('stopping\n')
    void endWith(130)
  })
}
process.on('uncaughtException', (error) => {
  if (!stopping) process.stderr.write(`${error.stack}\n`)
  stopping = true
  void endWith(1)
})

const named = process.argv.slice(2)
const unknown = named.filter((name) => !MEASUREMENTS.has(name))
if (unknown.length > 0) {
  process.stderr.write(
    `unknown measurement ${unknown.join(', ')}; available: ${[...MEASUREMENTS.keys()].join(', ')}\n`,
  )
  process.exit(1)
}

const begin = performance.now()
process.stdout.write(`${describeMachine()}\n`)
let failed = false
for (const [name, measure] of MEASUREMENTS) {
  if (stopping || (named.length > 0 && !named.includes(name))) continue
  try {
    const table = await measure()
    failed ||= table.faults.length > 0
    process.stdout.write(formatTable(table))
  } catch (error) {
    failed = true
    if (!stopping) process.stderr.write(`\n${name}: ${(error as Error).stack}\n`)
  }
  await cleanUp()
}
if (!stopping) {
  process.stdout.write(`\nfinished in ${Math.round((performance.now() - begin) / 1000)} s\n`)
  await endWith(failed ? 1 : 0)
}

function describeMachine(): string {
  const cores = `${availableParallelism()} cores (${cpus()[0]?.model ?? process.arch})`
  const memory = `${Math.round(totalmem() / 1024 ** 3)} GiB`
  const shared = 'clients, services and registry share them'
  return `On ${cores}, ${memory}, ${process.platform}, Node ${process.version}; ${shared}.`
}
