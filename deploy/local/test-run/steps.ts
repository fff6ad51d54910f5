/** A step of `npm test`. One with `tests` prints TAP, whose assertions are counted; another counts as one. */
export interface Step {
  readonly name: string
  readonly command: readonly [string, ...string[]]
  readonly tests: boolean
  /** Added to the environment. */
  readonly env: Readonly<Record<string, string>>
}

/** For the slowest file; .taprc has less, for those who run one alone. */
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

/** Everything, in order. */
export const STEPS: readonly Step[] = [
  check('types', 'tsc', '--noEmit'),
  check('lint', 'oxlint', '--deny-warnings'),
  check('format', 'oxfmt', '--check'),
  {
    name: 'unit and integration tests',
    command: tap(2, 'packages/*/test', 'services/*/test', 'deploy/*/test'),
    tests: true,
    env: {},
  },
  {
    name: 'end-to-end tests, on the stack',
    command: tap(2, 'test-e2e/*.test.ts'),
    tests: true,
    env: { E2E_TARGET: 'stack' },
  },
  {
    name: 'end-to-end tests that need the machine for themselves',
    command: tap(1, 'test-e2e/stack/*.test.ts'),
    tests: true,
    env: {},
  },
  {
    name: 'end-to-end tests, on what npm start runs',
    command: tap(2, 'test-e2e/embedded/*.test.ts', 'test-e2e/{readme,docker,seed-*}.test.ts'),
    tests: true,
    env: {},
  },
]

/** The step that runs only these files, or only these tests of them (titles or regular expressions). */
export function stepFor(files: readonly string[], greps: readonly string[]): Step {
  const filters = greps.map((pattern) => `--grep=${pattern}`)
  return { name: 'the given files', command: tap(1, ...filters, ...files), tests: true, env: {} }
}
