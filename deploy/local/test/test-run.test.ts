import { spawn } from 'node:child_process'
import { text } from 'node:stream/consumers'
import { fileURLToPath } from 'node:url'
import { relative } from 'node:path'
import type { Test } from 'tap'
import t from 'tap'

const ROOT = fileURLToPath(new URL('../../..', import.meta.url))
const MAIN = fileURLToPath(new URL('../test-run/main.ts', import.meta.url))
const DEADLINE_MS = 120_000

const test = (title: string, body: string) => `t.test('${title}', async (t) => { ${body} })\n`
const FILES = {
  'passes.test.ts': `import t from 'tap'\n${test('passes', 't.pass("one"); t.pass("two")')}`,
  'skips.test.ts': `import t from 'tap'\n${test('skips', 't.pass("needs it", { skip: "no such program" })')}`,
  'fails.test.ts': `import t from 'tap'\n${test('fails', 't.equal(1, 2, "one is two")')}`,
  'crashes.test.ts': `import t from 'tap'\n${test('passes', 't.pass("one")')}t.teardown(() => process.exit(7))\n`,
  'no-such-import.test.ts': `import t from 'tap'\nimport './no-such-file.ts'\nt.pass('never')\n`,
  'empty.test.ts': `export const nothing = 1\n`,
}

/** Runs the test runner on the test files of a folder, as `npm test -- FILE...` does. */
async function runFiles(t: Test, names: readonly (keyof typeof FILES)[], options: readonly string[] = []) {
  const folder = relative(ROOT, t.testdir(FILES))
  // The inner tap must not get the settings of the tap that runs this test.
  const isOwn = ([name]: [string, unknown]) => !name.startsWith('TAP') && name !== 'VERBOSE'
  const env = Object.fromEntries(Object.entries(process.env).filter(isOwn))
  const files = names.map((name) => `${folder}/${name}`)
  const child = spawn(process.execPath, [MAIN, ...options, ...files], {
    cwd: ROOT,
    env,
    timeout: DEADLINE_MS,
  })
  const ended = new Promise<number | null>((resolve) => child.on('close', resolve))
  const [stdout, , code] = await Promise.all([text(child.stdout), text(child.stderr), ended])
  return { code, stdout, lines: stdout.trimEnd().split('\n'), folder }
}

t.test(
  'npm test exits with 0 if all tests pass or are skipped, and prints the counts in its last line',
  async (t) => {
    const { code, lines, stdout } = await runFiles(t, ['passes.test.ts', 'skips.test.ts'])
    t.equal(code, 0, stdout)
    t.equal(lines.at(-1), '2 passed, 0 failed, 1 skipped')
    t.match(lines.at(-2), /^took \d/)
    t.match(stdout, '1 × no such program')
    t.notMatch(stdout, /^\s*ok 1\b/m, 'no TAP is printed')
  },
)

t.test('npm test exits with 1 for files that fail, crash, cannot be loaded or have no tests', async (t) => {
  const names = ['passes', 'fails', 'crashes', 'no-such-import', 'empty'] as const
  const { code, lines, stdout, folder } = await runFiles(
    t,
    names.map((name) => `${name}.test.ts` as const),
  )
  t.equal(code, 1)
  t.equal(lines.at(-1), '3 passed, 4 failed', stdout)
  t.match(stdout, `✗ ${folder}/fails.test.ts > fails > one is two`)
  t.match(stdout, `run it alone: npm test -- '--grep=/^fails$/' ${folder}/fails.test.ts`)
  for (const name of ['crashes', 'no-such-import', 'empty']) {
    t.match(stdout, `run it alone: npm test -- ${folder}/${name}.test.ts`)
  }
})

t.test('npm test -- --verbose prints the TAP', async (t) => {
  const { stdout } = await runFiles(t, ['passes.test.ts'], ['--verbose'])
  t.match(stdout, /^ {4}# Subtest: passes$/m)
})

t.test('npm test -- --grep runs only the tests whose title matches', async (t) => {
  const { lines, code } = await runFiles(t, ['passes.test.ts', 'fails.test.ts'], ['--grep=/^passes$/'])
  t.equal(lines.at(-1), '2 passed, 0 failed, 1 skipped')
  t.equal(code, 0)
})

t.test('npm test refuses an unknown option before it runs a test', async (t) => {
  const { code, stdout } = await runFiles(t, ['passes.test.ts'], ['--verbos'])
  t.equal(code, 2)
  t.equal(stdout, '')
})
