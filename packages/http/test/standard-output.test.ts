import { spawn } from 'node:child_process'
import { once } from 'node:events'
import { text } from 'node:stream/consumers'
import { fileURLToPath } from 'node:url'
import t from 'tap'

const PROGRAM = fileURLToPath(new URL('fixtures/log-and-end.ts', import.meta.url))
const LINES = 5000

for (const [how, code] of [
  ['exits', 0],
  ['throws', 1],
] as const) {
  t.test(`every log line is written, in order, by a process that ${how} right after logging`, async (t) => {
    const child = spawn(process.execPath, [PROGRAM, how, String(LINES)], {
      stdio: ['ignore', 'pipe', 'ignore'],
    })
    const [output, [ended]] = await Promise.all([text(child.stdout), once(child, 'exit')])
    const lines = output
      .trim()
      .split('\n')
      .map((line) => JSON.parse(line) as { number: number; name: string })
    t.equal(ended, code)
    t.equal(lines.length, LINES)
    const numbers = lines.map(({ number }) => number)
    t.same(
      numbers,
      numbers.toSorted((a, b) => a - b),
    )
    t.same(new Set(lines.map(({ name }) => name)), new Set(['public', 'internal']), 'of both servers')
  })
}
