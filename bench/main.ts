/** Runs all measurements, or those that are named, one after another. Fails on errors and on memory, never on time. */
import { availableParallelism, cpus, totalmem } from 'node:os'
import { cleanUp } from './cleanup.ts'
import { measureManyClients } from './many-clients.ts'
import { measureProxyMemory } from './proxy-memory.ts'
import { measureSignIn } from './sign-in.ts'
import { measureStarts } from './starts.ts'
import type { Table } from './table.ts'
import { formatTable } from './table.ts'
import { measureThroughput } from './throughput.ts'

const MEASUREMENTS: Readonly<Record<string, () => Promise<Table>>> = {
  'proxy-memory': measureProxyMemory,
  'many-clients': measureManyClients,
  throughput: measureThroughput,
  starts: measureStarts,
  'sign-in': measureSignIn,
}

for (const signal of ['SIGINT', 'SIGTERM', 'SIGHUP'] as const) {
  process.once(signal, () => void cleanUp().then(() => process.exit(130)))
}

const names = process.argv.length > 2 ? process.argv.slice(2) : Object.keys(MEASUREMENTS)
const unknown = names.filter((name) => !(name in MEASUREMENTS))
if (unknown.length > 0) {
  process.stderr.write(`there is no ${unknown.join(', ')}: name ${Object.keys(MEASUREMENTS).join(', ')}\n`)
  process.exit(1)
}

const begin = performance.now()
process.stdout.write(`${describeMachine()}\n`)
let failed = false
for (const name of names) {
  try {
    const table = await MEASUREMENTS[name]?.()
    if (table === undefined) continue
    failed ||= table.faults.length > 0
    process.stdout.write(formatTable(table))
  } catch (error) {
    failed = true
    process.stderr.write(`\n${name}: ${(error as Error).stack}\n`)
  } finally {
    await cleanUp()
  }
}
process.stdout.write(`\n${Math.round((performance.now() - begin) / 1000)} s in all\n`)
process.exit(failed ? 1 : 0)

function describeMachine(): string {
  const cores = `${availableParallelism()} cores (${cpus()[0]?.model ?? process.arch})`
  const memory = `${Math.round(totalmem() / 1024 ** 3)} GiB`
  return `On ${cores}, ${memory}, ${process.platform}, Node ${process.version}; clients, services and registry share them.`
}
