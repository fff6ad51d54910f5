import { spawn } from 'node:child_process'
import { once } from 'node:events'
import { text } from 'node:stream/consumers'
import { fileURLToPath } from 'node:url'
import { atEnd } from './cleanup.ts'
import { watchMemory } from './memory.ts'
import { writeImages } from './registry-images.ts'
import type { Stack } from './stack.ts'
import { nodeFlags, startStack } from './stack.ts'
import type { Table } from './table.ts'
import { formatMiB, formatPerSecond } from './table.ts'

const COMMAND = fileURLToPath(new URL('../services/image-manager/src/reconcile-command.ts', import.meta.url))
const REPOSITORIES = 10_000
const BOUND_MIB = 250
const DONE = /^done: (\d+) repositories and (\d+) tags checked with (\d+) requests, (\d+) manifests adopted/m

/** The command, before a registry of 10 000 repositories of one tag: when the index knows none of them, then all. */
export async function measureReconcile(): Promise<Table> {
  const stack = await startStack()
  const names = Array.from(
    { length: REPOSITORIES },
    (_, index) => `team-${index % 100}/app-${Math.floor(index / 100)}`,
  )
  writeImages(stack.images, names)
  const faults: string[] = []
  const rows: string[][] = []
  for (const [what, expected] of [
    ['adoption: all is new', REPOSITORIES],
    ['nothing to change', 0],
  ] as const) {
    const { seconds, peak, repositories, requests, adopted } = await reconcile(stack)
    rows.push([
      what,
      `${seconds.toFixed(1)} s`,
      formatPerSecond(repositories, seconds),
      String(requests),
      (requests / repositories).toFixed(2),
      formatMiB(peak),
      formatMiB(BOUND_MIB),
    ])
    if (repositories !== REPOSITORIES) faults.push(`${what}: ${repositories} repositories were checked`)
    if (adopted !== expected) faults.push(`${what}: ${adopted} manifests were adopted`)
    if (peak > BOUND_MIB) faults.push(`${what}: ${formatMiB(peak)} is over the bound`)
  }
  return {
    title: `reconcile: \`npm run reconcile\` before a registry on a file system, ${REPOSITORIES} repositories of one tag`,
    columns: ['', 'time', 'repositories', 'requests', 'a repository', 'memory peak', 'bound'],
    rows,
    faults,
  }
}

/** One run of the command, to its end. */
async function reconcile({ environment }: Stack) {
  const begin = performance.now()
  const env = { ...environment, PATH: process.env['PATH'] }
  const args = [...nodeFlags('image-manager', 'reconcile'), COMMAND]
  const child = spawn(process.execPath, args, { env, stdio: ['ignore', 'pipe', 'inherit'], detached: true })
  atEnd(() => void child.kill('SIGKILL'))
  const memory = watchMemory(child.pid ?? 0, { isToEnd: true })
  const [output, [code]] = await Promise.all([text(child.stdout), once(child, 'exit')])
  const { peak } = memory()
  const [, repositories, , requests, adopted] = DONE.exec(output) ?? []
  if (code !== 0 || repositories === undefined) throw new Error(`reconcile ended with ${code}:\n${output}`)
  return {
    seconds: (performance.now() - begin) / 1000,
    peak,
    repositories: Number(repositories),
    requests: Number(requests),
    adopted: Number(adopted),
  }
}
