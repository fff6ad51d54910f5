export interface Table {
  /** The measurement and its conditions. */
  readonly title: string
  readonly columns: readonly string[]
  readonly rows: readonly (readonly string[])[]
  /** Reasons for a failed run: errors, and memory over its bound; never a time. */
  readonly faults: readonly string[]
  /** The rows of this measurement in the table of goals of docs/performance.md. */
  readonly goals?: readonly Goal[]
}

/** A case with a goal, and its measured value. */
export interface Goal {
  readonly case: string
  /** For example `≥ 30 ×`. */
  readonly goal: string
  /** In the unit of the goal. */
  readonly measured: string
  readonly isMet: boolean
  /** The absolute values behind `measured`. */
  readonly values: string
  /** The number of failed requests of our side, if requests were counted. */
  readonly failed?: number
}

/**
 * Compares a measured value with its bound. `format` formats both. A missed goal is reported and never fails a run,
 * because machines differ.
 */
export function toGoal(
  what: Pick<Goal, 'case' | 'values' | 'failed'>,
  bound: { readonly atLeast: number } | { readonly atMost: number },
  measured: number,
  format: (value: number) => string,
): Goal {
  const [sign, limit] = 'atLeast' in bound ? ['≥', bound.atLeast] : ['≤', bound.atMost]
  const isMet = 'atLeast' in bound ? measured >= limit : measured <= limit
  return { ...what, goal: `${sign} ${format(limit)}`, measured: format(measured), isMet }
}

/** Formats a table as plain text: the first column on the left, numbers on the right. */
export function formatTable({ title, columns, rows, faults }: Table): string {
  const lines = [columns, ...rows]
  const widths = columns.map((_, column) => Math.max(...lines.map((cells) => (cells[column] ?? '').length)))
  const format = (cells: readonly string[]) =>
    cells
      .map((cell, column) =>
        column === 0 ? cell.padEnd(widths[0] ?? 0) : cell.padStart(widths[column] ?? 0),
      )
      .join('   ')
  const text = [
    title,
    ...lines.map((cells) => `  ${format(cells)}`),
    ...faults.map((fault) => `  FAULT: ${fault}`),
  ]
  return `\n${text.join('\n')}\n`
}

export function median(values: readonly number[]): number {
  const sorted = values.toSorted((a, b) => a - b)
  const middle = sorted.length >> 1
  const [low, high] = [sorted[Math.ceil(sorted.length / 2) - 1], sorted[middle]]
  return ((low ?? 0) + (high ?? 0)) / 2
}

/** Formats a rate in megabytes (10⁶) per second. */
export function formatRate(bytes: number, seconds: number): string {
  return `${Math.round(bytes / seconds / 1e6)} MB/s`
}

export function formatPerSecond(count: number, seconds: number): string {
  const rate = count / seconds
  return `${rate < 100 ? rate.toFixed(1) : Math.round(rate)}/s`
}

export function formatRatio(ratio: number): string {
  return `${ratio.toFixed(ratio < 0.1 ? 4 : 2)} ×`
}

export function formatMiB(mebibytes: number): string {
  return `${Math.round(mebibytes)} MiB`
}

/** Cells: the number of requests, the median and the 99th percentile. */
export function timesOf(milliseconds: readonly number[]): string[] {
  const format = (value: number) => `${value.toFixed(1)} ms`
  return [`${milliseconds.length}`, format(median(milliseconds)), format(p99(milliseconds))]
}

export function p99(values: readonly number[]): number {
  return values.toSorted((one, other) => one - other)[Math.ceil(values.length * 0.99) - 1] ?? 0
}

/** Compares a value with its bound. A slow time is not an error, because machines differ. */
export function judge(value: number, bound: number | undefined): string {
  if (bound === undefined) return ''
  return value < bound ? 'under' : 'over'
}
