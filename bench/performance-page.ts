import type { Goal, Table } from './table.ts'

/** The last result of a measurement. */
export interface Measured {
  /** Name of the measurement, which is also its heading. */
  readonly name: string
  readonly table: Table
  /** The command that made it. */
  readonly command: string
  /** For example `2026-11-29`. */
  readonly date: string
  readonly commit: string
  readonly machine: string
}

const MAX_LENGTH = 118
const INTRODUCTION = `# Performance

\`npm run bench\` compares registry-manager with the bare registry, and updates the sections reads, transfers, pushes and
memory. \`npm run bench -- NAME\` runs one benchmark and updates its section, \`--all\` runs all benchmarks. The other
sections keep their last result.

Each ratio compares two servers on the same machine. Both run in alternating rounds, and the ratio is the median of the
ratios of all rounds. Absolute numbers depend on the machine.

- The *bare registry* is distribution without registry-manager: plain HTTP, no authentication, on the same storage.
- \`volume\` and \`cache\` are values of \`CONTENT_FROM\`. Both columns measure \`npm run stack\` over HTTP with one replica of
  each service. Clients and servers share the machine.
- *nginx, the same file* is an nginx that sends the file from the storage without authorization, as a reference.
- A *first pull* is the first pull of content that was pushed a moment before. All pulled content is in the page cache,
  also for a first pull.
- The clients are wrk, skopeo and our own programs in \`bench/client\`.
- If \`ZOT_BINARY\` or \`DISTRIBUTION_BINARY\` is the path of another registry's program, that registry runs the same
  benchmarks with its own storage.`
const COLUMNS = ['case', 'goal', 'measured', '', 'absolute values', 'failed requests', 'measurement'] as const

/**
 * Puts results into the text of docs/performance.md. Results of other measurements stay as they are. `order` has the
 * names of all measurements in the order of the page; the sections of unknown names are dropped.
 */
export function updatePage(page: string, results: readonly Measured[], order: readonly string[]): string {
  const find = (name: string) => results.find((result) => result.name === name)
  const oldGoals = page.split('\n').filter((line) => line.startsWith('|'))
  const goals = order.flatMap((name) => {
    const result = find(name)
    if (result !== undefined) return (result.table.goals ?? []).map((goal) => goalRow(goal, result))
    return oldGoals.filter((line) => line.includes(`| ${linkTo(name)}, `))
  })
  const sections = order.flatMap((name) => {
    const result = find(name)
    return result === undefined ? (sectionIn(page, name) ?? []) : sectionOf(result)
  })
  const header = [rowOf(COLUMNS), rowOf(COLUMNS.map(() => '---'))]
  const table = ['## Goals', '', ...header, ...goals].join('\n')
  return `${[INTRODUCTION, table, ...sections].join('\n\n')}\n`
}

function goalRow(goal: Goal, { name, date, commit }: Measured): string {
  const failed = goal.failed === undefined ? '' : `${goal.failed}`
  const judged = goal.isMet ? 'met' : '**missed**'
  const from = `${linkTo(name)}, ${date}, ${commit}`
  return rowOf([goal.case, goal.goal, goal.measured, judged, goal.values, failed, from])
}

function linkTo(name: string): string {
  return `[${name}](#${name})`
}

function sectionOf({ name, table, command, date, commit, machine }: Measured): string {
  const { title, columns, rows, faults } = table
  return [
    beginOf(name),
    `## ${name}`,
    '',
    wrap(title.replace(new RegExp(`^${name}: `), '').replace(/^./, (letter) => letter.toUpperCase())),
    '',
    wrap(`Measured by \`${command}\` on ${date} at commit ${commit}. ${machine}`),
    '',
    rowOf(columns),
    rowOf(columns.map((_, column) => (column === 0 ? '---' : '---:'))),
    ...rows.map(rowOf),
    ...(faults.length === 0
      ? []
      : ['', 'The run had faults:', '', ...faults.map((fault) => `- ${wrap(fault)}`)]),
    endOf(name),
  ].join('\n')
}

/** Returns the section of a measurement in a page. */
function sectionIn(page: string, name: string): string | undefined {
  const [begin, end] = [page.indexOf(beginOf(name)), page.indexOf(endOf(name))]
  return begin < 0 || end < begin ? undefined : page.slice(begin, end + endOf(name).length)
}

const beginOf = (name: string) => `<!-- begin ${name} -->`
const endOf = (name: string) => `<!-- end ${name} -->`

function rowOf(cells: readonly string[]): string {
  return `| ${cells.map((cell) => cell.replaceAll('|', '\\|').replaceAll('\n', ' ')).join(' | ')} |`
}

/** Breaks a text into lines. */
function wrap(text: string): string {
  const lines = ['']
  for (const word of text.split(/\s+/)) {
    const line = lines.at(-1) ?? ''
    if (line !== '' && line.length + 1 + word.length > MAX_LENGTH) lines.push(word)
    else lines[lines.length - 1] = line === '' ? word : `${line} ${word}`
  }
  return lines.join('\n')
}
