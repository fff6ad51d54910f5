// Runs the steps of `npm test` and counts their results. test.js starts it with Node 26.
import { spawn } from 'node:child_process'
import { fileURLToPath } from 'node:url'
import { parseArgs } from 'node:util'
import type { Step } from './steps.ts'
import { STEPS, stepFor } from './steps.ts'
import { closingLine, duration, failureText, fileLine, skipLines } from './summary.ts'
import type { FileResult } from './tap-results.ts'
import { createTapReader } from './tap-results.ts'

const ROOT = fileURLToPath(new URL('../../..', import.meta.url))
const PREFETCH = fileURLToPath(new URL('../prefetch.js', import.meta.url))

const { values, positionals } = readArguments()
const isVerbose = values.verbose === true || (process.env['VERBOSE'] ?? '') !== ''
const begun = Date.now()
const say = (line: string) => process.stdout.write(`${line}\n`)

function readArguments() {
  try {
    return parseArgs({
      allowPositionals: true,
      options: { verbose: { type: 'boolean' }, grep: { type: 'string', multiple: true } },
    })
  } catch (error) {
    process.stderr.write(`${(error as Error).message}\nnpm test -- --help lists the options\n`)
    process.exit(2)
  }
}

/** Runs a command. Prints its output, or passes the output to a callback. */
function run([command, ...args]: Step['command'], env: Step['env'], onOutput?: (text: string) => void) {
  return new Promise<number>((resolve) => {
    const stdout = onOutput === undefined ? 'inherit' : 'pipe'
    const options = { cwd: ROOT, env: { ...process.env, ...env } }
    const child = spawn(command, args, { ...options, stdio: ['ignore', stdout, 'inherit'] })
    child.stdout?.setEncoding('utf8').on('data', (text: string) => onOutput?.(text))
    child.on('error', (error) => {
      process.stderr.write(`${command} cannot be run: ${error.message}\n`)
      resolve(1)
    })
    child.on('close', (code) => resolve(code ?? 1))
  })
}

async function runTests({ command, env }: Step): Promise<readonly FileResult[]> {
  const results: FileResult[] = []
  let files = 0
  const onFile = (result: FileResult) => {
    results.push(result)
    say(fileLine(result, results.length, Math.max(files, results.length)))
  }
  const reader = createTapReader(onFile, (count) => (files = count))
  const code = await run(command, env, (text) => {
    if (isVerbose) process.stdout.write(text)
    reader.write(text)
  })
  reader.end().forEach(onFile)
  if (code !== 0 && results.every(({ failed }) => failed === 0)) {
    const failures = [{ titles: [], details: [`${command.join(' ')} ended with ${code}`] }]
    const nothing = { passed: 0, skipped: 0, skips: [], milliseconds: undefined }
    onFile({ ...nothing, file: '', failed: 1, failures })
  }
  return results
}

async function runCheck({ name, command, env }: Step): Promise<readonly FileResult[]> {
  const start = Date.now()
  const failed = (await run(command, env)) === 0 ? 0 : 1
  const failures = failed === 0 ? [] : [{ titles: [name], details: [`its command: ${command.join(' ')}`] }]
  const nothing = { file: '', skipped: 0, skips: [] }
  return [{ ...nothing, passed: 1 - failed, failed, failures, milliseconds: Date.now() - start }]
}

const steps = positionals.length > 0 ? [stepFor(positionals, values.grep ?? [])] : STEPS
// Downloads for later steps. Tests that need a download earlier wait for it.
const prefetched = steps === STEPS ? run([process.execPath, PREFETCH], {}) : undefined
const all: { readonly step: Step; readonly result: FileResult }[] = []
for (const step of steps) {
  const start = Date.now()
  say(`\n· ${step.name}`)
  const results = await (step.tests ? runTests(step) : runCheck(step))
  all.push(...results.map((result) => ({ step, result })))
  say(`· ${step.name}: ${duration(Date.now() - start)}`)
}
await prefetched

const skips = skipLines(all.flatMap(({ result }) => result.skips))
if (skips.length > 0) say(`\nskipped:\n${skips.join('\n')}`)
for (const { step, result } of all) {
  for (const failure of result.failures) say(`\n${failureText(result.file, failure, step)}`)
}
const sum = (count: 'passed' | 'failed' | 'skipped') =>
  all.reduce((total, { result }) => total + result[count], 0)
const counts = { passed: sum('passed'), failed: sum('failed'), skipped: sum('skipped') }
say(`\ntook ${duration(Date.now() - begun)}\n${closingLine(counts)}`)
process.exitCode = counts.failed === 0 ? 0 : 1
