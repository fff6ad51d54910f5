import { spawnSync } from 'node:child_process'
import t from 'tap'
import { closingLine, duration, failureText, fileLine, skipLines } from '../test-run/summary.ts'

t.test('the last line of a test run names skipped tests only if there are some', async (t) => {
  t.equal(closingLine({ passed: 3, failed: 0, skipped: 0 }), '3 passed, 0 failed')
  t.equal(closingLine({ passed: 3, failed: 2, skipped: 1 }), '3 passed, 2 failed, 1 skipped')
})

t.test('durations are formatted as milliseconds, seconds or minutes, by their length', async (t) => {
  const cases = {
    0: '0 ms',
    999.4: '999 ms',
    1000: '1.0 s',
    59_949: '59.9 s',
    59_951: '1 min 0 s',
    187_000: '3 min 7 s',
  }
  for (const [milliseconds, text] of Object.entries(cases)) t.equal(duration(Number(milliseconds)), text)
})

t.test('the line of a test file contains its position, duration and counts', async (t) => {
  const result = {
    file: 'a.test.ts',
    milliseconds: 1200,
    passed: 2,
    failed: 0,
    skipped: 1,
    failures: [],
    skips: [],
  }
  t.equal(fileLine(result, 2, 40), '✓ [ 2/40] a.test.ts  1.2 s, 2 passed, 0 failed, 1 skipped')
  const failed = { ...result, failed: 1, skipped: 0, milliseconds: undefined }
  t.equal(fileLine(failed, 40, 40), '✗ [40/40] a.test.ts  2 passed, 1 failed')
})

t.test('the summary counts the reasons of skipped tests, the most frequent first', async (t) => {
  t.same(skipLines(['no podman', 'no docker', 'no docker']), ['  2 × no docker', '  1 × no podman'])
})

t.test('the command that reruns a failed test is quoted correctly for a shell', async (t) => {
  const title = `alice's "pull" of $HOME/(a|b) costs 1.5*2 [\\] \`x\``
  const failure = { titles: [title, 'inner'], details: ['at a.test.ts:3'] }
  const text = failureText('test-e2e/a.test.ts', failure, { env: { E2E_TARGET: 'stack' } })
  const [first, second, third = ''] = text.split('\n')
  t.equal(first, `✗ test-e2e/a.test.ts > ${title} > inner`)
  t.equal(second, '    at a.test.ts:3')
  const command = /run it alone: (E2E_TARGET=stack) npm test -- (.*)$/.exec(third)?.[2] ?? ''
  const { stdout } = spawnSync('sh', ['-c', `printf '%s\\n' ${command}`], { encoding: 'utf8' })
  const [grep = '', file] = stdout.trimEnd().split('\n')
  t.equal(file, 'test-e2e/a.test.ts')
  const [, pattern = ''] = /^--grep=\/(.*)\/$/.exec(grep) ?? []
  t.match(title, new RegExp(pattern), 'the pattern matches the title')
  t.notMatch(`${title} too`, new RegExp(pattern), 'the pattern does not match a longer title')
})

t.test('the command that reruns a file without a failed test has no --grep', async (t) => {
  t.match(failureText('a.test.ts', { titles: [], details: [] }, { env: {} }), /: npm test -- a\.test\.ts$/)
})

t.test('a failure outside of all test files has no command to rerun it', async (t) => {
  t.notMatch(failureText('', { titles: ['types'], details: ['its command: tsc'] }, { env: {} }), 'npm test')
})
