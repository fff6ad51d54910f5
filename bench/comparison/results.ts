import type { MemoryUse } from '../memory.ts'
import type { Goal, Table } from '../table.ts'
import { formatMiB, formatPerSecond, formatRate, formatRatio, median, toGoal } from '../table.ts'
import type { Case, CaseResult, SideResult } from './case.ts'

const BOUND_MIB = 200
const SERVICE = /^[a-z-]+$/

/** Makes the table of one part of the comparison. */
export function tableOf(title: string, results: readonly CaseResult[]): Table {
  const names = [...new Set(results.flatMap(({ results }) => results.map(({ side }) => side.name)))]
  const [bare = '', ...others] = names
  return {
    title: `${title}; alternating rounds of the stack (HTTP, one replica of each service) and of the bare registry`,
    columns: [
      '',
      'rounds',
      bare,
      ...others.flatMap((name) => [name, 'ratio', 'of all rounds']),
      `failed requests of: ${names.join(', ')}`,
    ],
    rows: results.map((result) => rowOf(result, bare, others)),
    faults: results.flatMap(({ case: { name }, results }) =>
      results
        .filter(({ failed }) => failed > 0)
        .map(({ side, failed, fault }) => `${name}: ${side.name}: ${failed} failed, first: ${fault}`),
    ),
    goals: results.flatMap(goalsOf),
  }
}

function rowOf({ case: work, results }: CaseResult, bare: string, others: readonly string[]): string[] {
  const find = (name: string) => results.find(({ side }) => side.name === name)
  const cells = others.flatMap((name) => {
    const result = find(name)
    if (result === undefined) return ['–', '', '']
    const spread = [Math.min(...result.ratios), Math.max(...result.ratios)].map((ratio) => ratio.toFixed(2))
    return [rateOf(work, result), formatRatio(median(result.ratios)), spread.join(' to ')]
  })
  const failed = [bare, ...others].map((name) => find(name)?.failed ?? '–')
  return [work.name, `${work.rounds}`, rateOf(work, find(bare)), ...cells, failed.join(', ')]
}

function rateOf({ unit }: Case, result: SideResult | undefined): string {
  const rate = median(result?.rates ?? [])
  return unit === 'bytes' ? formatRate(rate, 1) : formatPerSecond(rate, 1)
}

function goalsOf({ case: work, results }: CaseResult): Goal[] {
  const format = (result: SideResult) => `${result.side.name}: ${rateOf(work, result)}`
  return results.flatMap(({ side, ratios, failed }) => {
    if (side.goals === undefined) return []
    const compared = results.filter((result) => result.side === side || result.side.goals === undefined)
    const values = compared.map(format).join('; ')
    const what = { case: `${work.name} (\`${side.goals}\`)`, values, failed }
    return [toGoal(what, { atLeast: work.goals[side.goals] }, median(ratios), formatRatio)]
  })
}

/** Makes the table of the resident memory of every stack's processes during these parts of the comparison. */
export function memoryTable(
  stacks: ReadonlyMap<string, ReadonlyMap<string, MemoryUse>>,
  parts: readonly string[],
): Table {
  const uses = [...stacks].flatMap(([stack, processes]) =>
    [...processes].map(([process, use]) => ({ stack, process, ...use })),
  )
  return {
    title: `memory: resident memory under ${parts.join(', ')}; the largest value of the whole run`,
    columns: ['', 'CONTENT_FROM', 'before', 'peak'],
    rows: uses.map(({ stack, process, before, peak }) => [
      process,
      stack,
      formatMiB(before),
      formatMiB(peak),
    ]),
    faults: [],
    goals: uses
      .filter(({ process }) => SERVICE.test(process))
      .map(({ stack, process, before, peak }) => {
        const values = `before the run: ${formatMiB(before)}`
        const what = { case: `resident memory of ${process} (\`${stack}\`)`, values }
        return toGoal(what, { atMost: BOUND_MIB }, peak, formatMiB)
      }),
  }
}
