import type { Counts, Failure, FileResult } from './tap-results.ts'

/** How a file was run, so that a command can run it in the same way. */
export interface RunAs {
  /** Settings such as `E2E_TARGET=stack`. */
  readonly env: Readonly<Record<string, string>>
}

/** `3 passed, 0 failed`, with `, 1 skipped` where tests were skipped. CI reads it as the last line of a run. */
export function closingLine({ passed, failed, skipped }: Counts): string {
  return `${passed} passed, ${failed} failed${skipped > 0 ? `, ${skipped} skipped` : ''}`
}

/** The line that is printed when a file has ended: `✓ [ 2/40] services/a.test.ts  1.2 s, 12 passed, 0 failed`. */
export function fileLine(result: FileResult, number: number, files: number): string {
  const mark = result.failed > 0 ? '✗' : '✓'
  const place = `[${String(number).padStart(String(files).length)}/${files}]`
  const time = result.milliseconds === undefined ? '' : `${duration(result.milliseconds)}, `
  return `${mark} ${place} ${result.file || 'the run'}  ${time}${closingLine(result)}`
}

/** Formats a failure: the file, the titles, the details, and the command that runs the test alone. */
export function failureText(file: string, failure: Failure, { env }: RunAs): string {
  const title = [file || 'the run', ...failure.titles].join(' > ')
  const command = file === '' ? [] : [`run it alone: ${commandFor(file, failure, { env })}`]
  return [`✗ ${title}`, ...[...failure.details, ...command].map((line) => `    ${line}`)].join('\n')
}

/** The reasons for which tests were skipped, the most frequent first: `  12 × no kustomize 5`. */
export function skipLines(reasons: readonly string[]): readonly string[] {
  const counts = new Map<string, number>()
  for (const reason of reasons) counts.set(reason, (counts.get(reason) ?? 0) + 1)
  const sorted = [...counts].toSorted(([, one], [, other]) => other - one)
  return sorted.map(([reason, count]) => `  ${count} × ${reason}`)
}

/** `950 ms`, `12.3 s` or `3 min 7 s`. */
export function duration(milliseconds: number): string {
  if (milliseconds < 1000) return `${Math.round(milliseconds)} ms`
  if (milliseconds < 59_950) return `${(milliseconds / 1000).toFixed(1)} s`
  const seconds = Math.round(milliseconds / 1000)
  return `${Math.floor(seconds / 60)} min ${seconds % 60} s`
}

function commandFor(file: string, { titles: [outermost] }: Failure, { env }: RunAs): string {
  const settings = Object.entries(env).map(([name, value]) => `${name}=${quoted(value)} `)
  // tap's --grep filters by the titles of the outermost tests; it takes a regular expression.
  const escaped = outermost?.replaceAll(/[\\^$.*+?()[\]{}|/]/g, String.raw`\$&`)
  const grep = escaped === undefined ? '' : `${quoted(`--grep=/^${escaped}$/`)} `
  return `${settings.join('')}npm test -- ${grep}${quoted(file)}`
}

/** For a POSIX shell. */
function quoted(text: string): string {
  return /^[\w./=-]+$/.test(text) ? text : `'${text.replaceAll("'", String.raw`'\''`)}'`
}
