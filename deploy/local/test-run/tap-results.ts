import type { Result } from 'tap-parser'
import { Parser } from 'tap-parser'

/** Numbers of assertions that passed and failed; `skipped` includes those marked TODO. */
export interface Counts {
  readonly passed: number
  readonly failed: number
  readonly skipped: number
}

export interface Failure {
  /** The titles of the tests from the outermost to the failed assertion; empty when the file itself failed. */
  readonly titles: readonly string[]
  /** The details, one line each. */
  readonly details: readonly string[]
}

/** The result of one test file. */
export interface FileResult extends Counts {
  readonly file: string
  /** Undefined if the file did not finish. */
  readonly milliseconds: number | undefined
  readonly failures: readonly Failure[]
  /** The reason of each skipped test. */
  readonly skips: readonly string[]
}

/** Reads the TAP of a run of test files while it is written. */
export interface TapReader {
  write(chunk: string): void
  /** Ends the run. Returns failures outside of finished files. */
  end(): readonly FileResult[]
}

interface Collected {
  passed: number
  failures: Failure[]
  skips: string[]
}

const MOST_LINES = 30
const WIDEST = 200
/** Fields of tap that do not help in a summary. */
const LEFT_OUT = new Set([
  'args',
  'at',
  'command',
  'compare',
  'cwd',
  'externalID',
  'jobId',
  'source',
  'stdio',
  'tapCaught',
  'test',
])
const NO_TESTS = 'no tests found'

/**
 * Creates a reader of `tap run --reporter=tap`, where each subtest of the outermost level is a file. Calls `onFile`
 * at the end of each file, and `onPlan` with their number. Assertions are counted as tap counts them. In
 * addition a file without tests, a bail-out and an output that ends early are failures.
 * Source: https://testanything.org/tap-version-14-specification.html
 */
export function createTapReader(
  onFile: (result: FileResult) => void,
  onPlan: (files: number) => void = () => {},
): TapReader {
  const parser = new Parser()
  const outside = collected()
  const failedFiles = new Set<string>()
  let open: { readonly file: string; readonly results: Collected } | undefined
  let bailOut: string | undefined
  let finished = 0

  const finish = (file: string, milliseconds: number | undefined, results: Collected) => {
    finished += 1
    if (results.failures.length > 0) failedFiles.add(file)
    return toFileResult(file, milliseconds, results)
  }
  parser.on('plan', ({ start, end }: { start: number; end: number }) => onPlan(end - start + 1))
  parser.on('bailout', (reason: string) => (bailOut ??= reason))
  parser.on('child', (child: Parser) => {
    const results = collected()
    open = { file: child.name, results }
    collect(child, results, [])
  })
  parser.on('assert', (result: Result) => {
    const file = open
    if (result.closingTestPoint && file !== undefined) {
      open = undefined
      close(file.results, result, [])
      onFile(finish(file.file, result.time ?? undefined, file.results))
      return
    }
    // tap reports a timeout twice: for the file, and for the whole run.
    if (failedFiles.has(result.diag?.expired)) return
    add(outside, result, [])
  })
  return {
    write: (chunk) => void parser.write(chunk),
    end() {
      parser.end()
      const reason = bailOut === undefined ? 'its output ended before its result' : `bailed out: ${bailOut}`
      if (open !== undefined) {
        open.results.failures.push({ titles: [], details: [reason] })
        return [finish(open.file, undefined, open.results)]
      }
      if (bailOut !== undefined) outside.failures.push({ titles: [], details: [reason] })
      const rest = toFileResult('', undefined, outside)
      if (rest.passed + rest.failed + rest.skipped > 0) return [rest]
      if (finished > 0 && (parser.ok || failedFiles.size > 0)) return []
      const faults = parser.failures.map(({ tapError }) => String(tapError))
      const details = finished === 0 ? ['no test file was run'] : faults
      return [{ ...rest, failed: 1, failures: [{ titles: [], details }] }]
    },
  }
}

function collected(): Collected {
  return { passed: 0, failures: [], skips: [] }
}

function toFileResult(file: string, milliseconds: number | undefined, results: Collected): FileResult {
  const { passed, failures, skips } = results
  return { file, milliseconds, passed, failed: failures.length, skipped: skips.length, failures, skips }
}

/** Collects the results of a subtest and of its own subtests. */
function collect(parser: Parser, into: Collected, titles: readonly string[]): void {
  let inner: { readonly title: string; readonly results: Collected } | undefined
  parser.on('child', (child: Parser) => {
    inner = { title: child.name, results: collected() }
    collect(child, inner.results, [...titles, child.name])
  })
  parser.on('assert', (result: Result) => {
    if (!result.closingTestPoint || inner === undefined) return add(into, result, titles)
    const { results } = inner
    inner = undefined
    close(results, result, [...titles, result.name])
    into.passed += results.passed
    into.failures.push(...results.failures)
    into.skips.push(...results.skips)
  })
  // A file that ends in the middle of a subtest: the results so far count.
  parser.on('complete', () => {
    if (inner === undefined) return
    into.passed += inner.results.passed
    into.failures.push(...inner.results.failures)
    into.skips.push(...inner.results.skips)
  })
}

/** Adds an assertion. */
function add(into: Collected, result: Result, titles: readonly string[]): void {
  if (isSkipped(result)) into.skips.push(reasonOf(result))
  else if (result.ok) into.passed += 1
  else into.failures.push({ titles: [...titles, result.name], details: detailsOf(result) })
}

/** Adds the result of a whole subtest, unless its assertions already report it. */
function close(into: Collected, result: Result, titles: readonly string[]): void {
  if (result.skip === NO_TESTS) into.failures.push({ titles, details: [NO_TESTS] })
  else if (isSkipped(result)) into.skips.push(reasonOf(result))
  else if (!result.ok && into.failures.length === 0)
    into.failures.push({ titles, details: detailsOf(result) })
}

function isSkipped({ skip, todo }: Result): boolean {
  return skip !== false || todo !== false
}

function reasonOf({ skip, todo, name }: Result): string {
  const reason = skip === false ? todo : skip
  return typeof reason === 'string' && reason !== '' ? reason : name
}

/** Returns the helpful diagnostics of a failure, one line each. */
function detailsOf({ diag, tapError }: Result): readonly string[] {
  const details = tapError === null ? [] : [tapError]
  const fields: Readonly<Record<string, unknown>> = diag ?? {}
  const at = fields['at'] as { fileName?: string; lineNumber?: number } | undefined
  if (at?.fileName !== undefined) details.push(`at ${at.fileName}:${at.lineNumber}`)
  for (const [name, value] of Object.entries(fields)) {
    if (LEFT_OUT.has(name) || value === null || value === '') continue
    const text = typeof value === 'string' ? value.trimEnd() : JSON.stringify(value)
    if (text.includes('\n')) details.push(`${name}:`, ...text.split('\n').map((line) => `  ${line}`))
    else details.push(`${name}: ${text}`)
  }
  const shown = details.slice(0, MOST_LINES).map((line) => line.slice(0, WIDEST))
  return details.length > MOST_LINES ? [...shown, `(${details.length - MOST_LINES} lines more)`] : shown
}
