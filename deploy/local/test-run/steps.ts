/** A step of `npm test`. A step with `tests` prints TAP, whose assertions are counted. Another step counts as one. */
export interface Step {
  readonly name: string
  readonly command: readonly [string, ...string[]]
  readonly tests: boolean
  /** Added to the environment. */
  readonly env: Readonly<Record<string, string>>
}

/** Enough for the slowest file. .taprc has a smaller value for runs of single files. */
const TIMEOUT_SECONDS = 1500

const tap = (jobs: number, ...files: string[]): Step['command'] => [
  'tap',
  'run',
  '--reporter=tap',
  `--jobs=${jobs}`,
  `--timeout=${TIMEOUT_SECONDS}`,
  ...files,
]

const check = (name: string, ...command: Step['command']): Step => ({ name, command, tests: false, env: {} })

/** All steps, in order. */
export const STEPS: readonly Step[] = [
  check('types', 'tsc', '--noEmit'),
  check('lint', 'oxlint', '--deny-warnings'),
  check('format', 'oxfmt', '--check'),
  {
    name: 'unit and integration tests',
    // Many files wait for servers: a third one uses the time.
    command: tap(3, 'packages/*/test', 'services/*/test', 'deploy/*/test', 'bench/test'),
    tests: true,
    env: {},
  },
  {
    name: 'end-to-end tests, on the stack',
    // Many files wait for a process or a time limit: a third one uses the time.
    command: tap(3, 'test-e2e/*.test.ts', 'test-e2e/stack/*.test.ts'),
    tests: true,
    env: { E2E_TARGET: 'stack' },
  },
  {
    name: 'end-to-end tests that need the machine for themselves',
    command: tap(1, 'test-e2e/alone/*.test.ts'),
    tests: true,
    env: {},
  },
  {
    name: 'end-to-end tests, on what npm start runs',
    command: tap(3, 'test-e2e/embedded/*.test.ts', 'test-e2e/{readme,docker,seed-*}.test.ts'),
    tests: true,
    env: {},
  },
]

/** Returns a step for these files only, or for tests of them by title or regular expression. */
export function stepFor(files: readonly string[], greps: readonly string[]): Step {
  const filters = greps.map((pattern) => `--grep=${pattern}`)
  return { name: 'the given files', command: tap(1, ...filters, ...files), tests: true, env: {} }
}
