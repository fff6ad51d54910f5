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

\`npm run bench\` measures this machine and writes this page. Each section keeps the last result of its measurement, so a
short run does not erase the result of a long one: \`npm run bench -- NAME\` renews one section, \`--all\` all of them.
Ratios compare servers on one machine in alternating rounds of one run, and are medians of the ratios of the rounds.
Absolute numbers depend on the machine.

The *bare registry* is distribution without registry-manager: plain HTTP, no authentication, on the same storage. The
stack is \`npm run stack\` over HTTP with one replica of each service; clients and servers share the machine. \`volume\`
and \`cache\` are values of \`CONTENT_FROM\`. The clients are wrk, skopeo and programs of ours in \`bench/client\`. All
pulled content is in the page cache, also at a *first pull*, the pull of content that was pushed a moment before and
never pulled. *nginx, the same file* is nginx that sends the file from the storage without any check. \`ZOT_BINARY\` and
\`DISTRIBUTION_BINARY\` name programs of other registries, which then do the same work with a storage of their own.`
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
