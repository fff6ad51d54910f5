import { temporaryFolder } from '../cleanup.ts'
import type { MemoryUse } from '../memory.ts'
import type { Table } from '../table.ts'
import type { Case, CaseResult } from './case.ts'
import { runCase } from './case.ts'
import type { Content } from './content.ts'
import { pushContent } from './content.ts'
import { pushCases } from './pushes.ts'
import { readCases } from './reads.ts'
import { memoryTable, tableOf } from './results.ts'
import type { Side } from './side.ts'
import { startSides } from './sides.ts'
import { transferCases } from './transfers.ts'

interface Part {
  readonly title: string
  /** `content` pushes the image when a part first needs it. `folder` is for files of the clients. */
  cases(content: () => Promise<Content>, folder: string): Promise<readonly Case[]>
}

/** The parts of the comparison with the bare registry, by the name of their measurement. */
const PARTS: Readonly<Record<string, Part>> = {
  reads: {
    title: 'reads: manifests and config blobs, with wrk (HEAD requests with our own client)',
    cases: async (content, folder) => readCases(await content(), folder),
  },
  transfers: {
    title: 'transfers: blobs of an image, and ranges of a blob, all from the page cache',
    cases: async (content, folder) => transferCases(await content(), folder),
  },
  pushes: {
    title: 'pushes: content that the registry does not have yet',
    cases: async (_content, folder) => pushCases(folder),
  },
}

export const COMPARISON_NAMES: readonly string[] = Object.keys(PARTS)

/**
 * Compares the stack over HTTP with the bare registry and with other servers, in alternating rounds: the parts of these
 * names. Returns the table of each part, and `memory` for all of them.
 */
export async function measureComparison(
  names: readonly string[],
  say: (line: string) => void,
): Promise<ReadonlyMap<string, Table>> {
  const sides = await startSides()
  const folder = await temporaryFolder()
  const watched = watchSides(sides)
  let pushed: Promise<Content> | undefined
  const content = () => (pushed ??= pushContent(sides))
  const tables = new Map<string, Table>()
  for (const name of names) {
    const part = PARTS[name]
    if (part === undefined) throw new Error(`the comparison has no part ${name}`)
    const results: CaseResult[] = []
    for (const work of await part.cases(content, folder)) {
      say(`${name}: ${work.name}`)
      results.push(await runCase(work, sides))
    }
    tables.set(name, tableOf(part.title, results))
  }
  return tables.set('memory', memoryTable(watched(), names))
}

/** Watches the processes of all stacks until the returned function is called. */
function watchSides(sides: readonly Side[]): () => ReadonlyMap<string, ReadonlyMap<string, MemoryUse>> {
  const watched = sides.flatMap(({ name, stack }) =>
    stack === undefined ? [] : [[name, stack.watchMemory()] as const],
  )
  return () => new Map(watched.map(([name, finish]) => [name, finish()]))
}
