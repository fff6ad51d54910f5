/**
 * Runs measurements one after another: without arguments the comparison with the bare registry, with `--all` all of
 * them, else the named ones. Writes the results into docs/performance.md. Fails on errors and on too much memory, never
 * on slow times.
 */
import { execFileSync } from 'node:child_process'
import { readFileSync, writeFileSync } from 'node:fs'
import { availableParallelism, cpus, totalmem } from 'node:os'
import { fileURLToPath } from 'node:url'
import { measureAudit } from './audit.ts'
import { cleanUp, endWith } from './cleanup.ts'
import { COMPARISON_NAMES, measureComparison } from './comparison/measure.ts'
import { measureDirectorySignIn } from './directory-sign-in.ts'
import { measureGrants } from './grants.ts'
import { measureGrowth } from './growth.ts'
import { measureIndexScale } from './index-scale.ts'
import { measureManyAccounts } from './many-accounts.ts'
import { measureManyClients } from './many-clients.ts'
import { updatePage } from './performance-page.ts'
import { measureProxyMemory } from './proxy-memory.ts'
import { measurePulls } from './pulls.ts'
import { measurePush } from './push.ts'
import { measurePushPolicies } from './push-policies.ts'
import { measureReconcile } from './reconcile.ts'
import { measureRemoval } from './removal.ts'
import { measureRevocations } from './revocations.ts'
import { measureSignIn } from './sign-in.ts'
import { measureSpaceScale } from './space-scale.ts'
import { measureStarts } from './starts.ts'
import type { Table } from './table.ts'
import { formatTable } from './table.ts'
import { measureTokenSignIn } from './token-sign-in.ts'
import { measureUnitCosts } from './unit-costs.ts'

/** Measurements that run only by name or with `--all`. */
const MEASUREMENTS = new Map<string, () => Promise<Table>>([
  ['proxy-memory', measureProxyMemory],
  ['many-clients', measureManyClients],
  ['push', measurePush],
  ['push-policies', measurePushPolicies],
  ['pulls', measurePulls],
  ['removal', measureRemoval],
  ['space-scale', measureSpaceScale],
  ['unit-costs', measureUnitCosts],
  ['starts', measureStarts],
  ['sign-in', measureSignIn],
  ['index-scale', measureIndexScale],
  ['token-sign-in', measureTokenSignIn],
  ['many-accounts', measureManyAccounts],
  ['grants', measureGrants],
  ['revocations', measureRevocations],
  ['reconcile', measureReconcile],
  ['directory-sign-in', measureDirectorySignIn],
  ['audit', measureAudit],
  ['growth', measureGrowth],
])
/** All sections of the page, in order. */
const SECTIONS = [...COMPARISON_NAMES, 'memory', ...MEASUREMENTS.keys()]
const ROOT = fileURLToPath(new URL('..', import.meta.url))
const PAGE = fileURLToPath(new URL('../docs/performance.md', import.meta.url))

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

const operands = process.argv.slice(2)
const isAll = operands.includes('--all')
const named = operands.filter((operand) => operand !== '--all')
const known = [...COMPARISON_NAMES, ...MEASUREMENTS.keys()]
const unknown = named.filter((name) => !known.includes(name))
if (unknown.length > 0) {
  process.stderr.write(`unknown measurement ${unknown.join(', ')}; available: ${known.join(', ')}\n`)
  process.exit(1)
}

const begin = performance.now()
const [machine, commit] = [describeMachine(), describeCommit()]
process.stdout.write(`${machine}\n`)
let failed = false

const compared = COMPARISON_NAMES.filter((name) => isAll || named.length === 0 || named.includes(name))
if (compared.length > 0) {
  const say = (line: string) => process.stderr.write(`· ${line}\n`)
  await report(compared.join(', '), () => measureComparison(compared, say))
}
for (const [name, measure] of MEASUREMENTS) {
  if (isAll || named.includes(name)) await report(name, async () => new Map([[name, await measure()]]))
}
if (!stopping) {
  process.stdout.write(`\nfinished in ${Math.round((performance.now() - begin) / 1000)} s\n`)
  await endWith(failed ? 1 : 0)
}

/** Runs measurements, prints their tables and writes them into the page. */
async function report(what: string, measure: () => Promise<ReadonlyMap<string, Table>>): Promise<void> {
  if (stopping) return
  try {
    const tables = await measure()
    for (const table of tables.values()) {
      failed ||= table.faults.length > 0
      process.stdout.write(formatTable(table))
    }
    // A part of the comparison needs less memory than all of it.
    const isWhole = COMPARISON_NAMES.every((name) => tables.has(name))
    writeResults([...tables].filter(([name]) => name !== 'memory' || isWhole))
  } catch (error) {
    failed = true
    if (!stopping) process.stderr.write(`\n${what}: ${(error as Error).stack}\n`)
  }
  await cleanUp()
}

function writeResults(tables: readonly (readonly [string, Table])[]): void {
  const command = ['npm run bench', ...(operands.length > 0 ? ['--', ...operands] : [])].join(' ')
  const date = new Date().toISOString().slice(0, 10)
  const results = tables.map(([name, table]) => ({ name, table, command, date, commit, machine }))
  writeFileSync(PAGE, updatePage(readFileSync(PAGE, 'utf8'), results, SECTIONS))
}

/** Returns the commit that is measured; `+` marks changes that are not committed. */
function describeCommit(): string {
  const git = (...args: string[]) => execFileSync('git', args, { cwd: ROOT, encoding: 'utf8' }).trim()
  try {
    const changes = git('status', '--porcelain', '--untracked-files=no', '--', ':!docs/performance.md')
    return git('rev-parse', '--short=8', 'HEAD') + (changes === '' ? '' : '+')
  } catch {
    return 'unknown'
  }
}

function describeMachine(): string {
  const cores = `${availableParallelism()} cores (${cpus()[0]?.model ?? process.arch})`
  const memory = `${Math.round(totalmem() / 1024 ** 3)} GiB`
  const shared = 'clients, services and registry share them'
  return `On ${cores}, ${memory}, ${process.platform}, Node ${process.version}; ${shared}.`
}
