import { readFileSync } from 'node:fs'
import t from 'tap'
import { ensureCommands } from './harness/debian-packages.ts'
import { dockerIsMissing, startDockerEngine } from './harness/docker-engine.ts'
import { runCommand } from './harness/run-command.ts'
import { startSystem } from './harness/system.ts'

interface Step {
  readonly command: string
  /** What is printed; `…` stands for anything. */
  readonly output: string[]
}

/** The session that the README shows, as commands with their output. */
function sessionOf(readme: string): Step[] {
  const block = /^```console\n(.*?)^```$/ms.exec(readme)?.[1] ?? ''
  return block
    .split(/^\$ /m)
    .slice(1)
    .map((step) => step.trimEnd().split('\n'))
    .map(([command = '', ...output]) => ({ command, output }))
}

function toPattern(line: string): RegExp {
  return new RegExp(line.replaceAll(/[.*+?^${}()|[\]\\]/g, String.raw`\$&`).replaceAll('…', '.*'))
}

const missing = (await dockerIsMissing()) || (await ensureCommands({ curl: 'curl' }))

t.test("the README's session, as printed", { skip: missing }, async (t) => {
  const system = await startSystem(t)
  const { env, docker } = await startDockerEngine(t)
  const empty = await runCommand('tar', ['--create', '--files-from=/dev/null'])
  await docker(['import', '-', 'alpine'], { input: empty.stdout })

  const steps = sessionOf(readFileSync(new URL('../README.md', import.meta.url), 'utf8'))
  t.ok(steps.length >= 8, 'the README shows a session')
  /** Read as said of this system. */
  const here = (text: string) =>
    text.replaceAll('http://localhost:8500', system.url).replaceAll('localhost:8500', system.host)
  const variables = { ...env, PASSWORD: system.admin.password, JANES: 'a-password-of-janes' }
  for (const { command, output } of steps) {
    const script = `${here(command)} 2>&1 || true`
    const { stdout } = await runCommand('sh', ['-c', script], { env: variables })
    for (const line of output) t.match(stdout, toPattern(here(line)), command)
    if (output.length === 0) t.equal(stdout, '', command)
  }
})
