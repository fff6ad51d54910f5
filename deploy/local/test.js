// `npm test`: makes everything ready, then runs every check and every test, and counts them.
import { spawn } from 'node:child_process'
import { ROOT, installWorkspace, workspaceEnv } from './workspace.js'

const say = (line) => process.stdout.write(`\n· ${line}\n`)

const tap = (jobs, ...files) => ['tap', 'run', '--reporter=tap', `--jobs=${jobs}`, '--timeout=1500', ...files]

/** What is run, in order. A step with `tests` prints TAP, whose counts are added up. `env` adds to the environment. */
const STEPS = [
  { name: 'types', command: ['tsc', '--noEmit'] },
  { name: 'lint', command: ['oxlint', '--deny-warnings'] },
  { name: 'format', command: ['oxfmt', '--check'] },
  {
    name: 'unit and integration tests',
    tests: true,
    command: tap(2, 'packages/*/test', 'services/*/test', 'deploy/*/test'),
  },
  {
    name: 'end-to-end tests, on the stack',
    tests: true,
    env: { E2E_TARGET: 'stack' },
    command: tap(2, 'test-e2e/*.test.ts'),
  },
  {
    name: 'end-to-end tests that need the machine for themselves',
    tests: true,
    command: tap(1, 'test-e2e/stack/*.test.ts'),
  },
  {
    name: 'end-to-end tests, on what npm start runs',
    tests: true,
    command: tap(2, 'test-e2e/embedded/*.test.ts', 'test-e2e/{readme,docker,seed-*}.test.ts'),
  },
]

const counts = { passed: 0, failed: 0, skipped: 0 }

installWorkspace(say)
for (const step of STEPS) {
  say(step.name)
  const { code, output } = await run(step)
  if (step.tests) addUp(output, code)
  else counts[code === 0 ? 'passed' : 'failed'] += 1
}
const { passed, failed, skipped } = counts
process.stdout.write(`\n${passed} passed, ${failed} failed${skipped > 0 ? `, ${skipped} skipped` : ''}\n`)
process.exit(failed === 0 ? 0 : 1)

function run({ command: [command, ...args], env }) {
  return new Promise((resolve) => {
    const child = spawn(command, args, {
      cwd: ROOT,
      env: { ...workspaceEnv(), ...env },
      stdio: ['ignore', 'pipe', 'inherit'],
    })
    let output = ''
    child.stdout.on('data', (chunk) => {
      output += chunk
      process.stdout.write(chunk)
    })
    child.on('error', (error) => resolve({ code: 1, output: error.message }))
    child.on('close', (code) => resolve({ code: code ?? 1, output }))
  })
}

/** Adds the counts of a run's closing line, `# { total: 9, pass: 7, fail: 1, skip: 1 }`. */
function addUp(output, code) {
  const summary = /^# \{ (.*) \}$/m.exec(output)?.[1] ?? ''
  const count = (name) => Number(new RegExp(`\\b${name}: (\\d+)`).exec(summary)?.[1] ?? 0)
  counts.passed += count('pass')
  counts.skipped += count('skip') + count('todo')
  // A run that fails without a failed test (a crash, no test at all) is a failure all the same.
  const failures = count('fail')
  counts.failed += code !== 0 && failures === 0 ? 1 : failures
  if (count('pass') === 0 && code === 0) counts.failed += 1
}
