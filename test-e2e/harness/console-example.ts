import { setTimeout as sleep } from 'node:timers/promises'
import type { Test } from 'tap'
import { runCommand } from './run-command.ts'
import type { System } from './system.ts'

/** Maximum number of tries of a pull, once a second, until it prints what the document shows. */
const PULLS = 4

interface Step {
  readonly command: string
  /** The expected output; `…` matches any text. */
  readonly output: string[]
}

/** Returns the content of the first block of a kind, such as `console`, in a Markdown text. */
export function blockOf(text: string, kind: string): string {
  return new RegExp(`^\`\`\`${kind}\\n(.*?)^\`\`\`$`, 'ms').exec(text)?.[1] ?? ''
}

/** Runs the console example of a document against a system and compares the output. Returns the number of commands. */
export async function runConsoleExample(
  t: Test,
  document: string,
  { host, url }: System,
  variables: Record<string, string>,
): Promise<number> {
  const steps = stepsOf(document)
  /** Replaces the documented address by the system's. */
  const here = (text: string) =>
    text.replaceAll('http://localhost:8500', url).replaceAll('localhost:8500', host)
  for (const { command, output } of steps) {
    const script = `${here(command)} 2>&1 || true`
    const run = async () => (await runCommand('sh', ['-c', script], { env: variables })).stdout
    const isExpected = (printed: string) => output.every((line) => toPattern(here(line)).test(printed))
    let stdout = await run()
    // A pull may succeed for some seconds after its account was deleted.
    for (
      let tries = 0;
      command.startsWith('docker pull') && !isExpected(stdout) && tries < PULLS;
      tries += 1
    ) {
      await sleep(1000)
      stdout = await run()
    }
    for (const line of output) t.match(stdout, toPattern(here(line)), command)
    if (output.length === 0) t.equal(stdout, '', command)
  }
  return steps.length
}

/** Parses the console example of a document into commands with their output. */
function stepsOf(document: string): Step[] {
  return blockOf(document, 'console')
    .split(/^\$ /m)
    .slice(1)
    .map((step) => step.trimEnd().split('\n'))
    .map(([command = '', ...output]) => ({ command, output }))
}

function toPattern(line: string): RegExp {
  return new RegExp(line.replaceAll(/[.*+?^${}()|[\]\\]/g, String.raw`\$&`).replaceAll('…', '.*'))
}
