import t from 'tap'
import type { FileResult } from '../test-run/tap-results.ts'
import { createTapReader } from '../test-run/tap-results.ts'

/** Reads a whole output in small pieces that do not end at line ends, like the reads of a pipe. */
function read(tap: string) {
  const files: FileResult[] = []
  const plans: number[] = []
  const reader = createTapReader(
    (result) => files.push(result),
    (count) => plans.push(count),
  )
  for (let at = 0; at < tap.length; at += 7) reader.write(tap.slice(at, at + 7))
  return { files, plans, rest: reader.end() }
}

const PASSED = `# Subtest: a.test.ts
    # Subtest: outer
        ok 1 - one
        # Subtest: inner
            ok 1 - two
            1..1
        ok 2 - inner # time=1ms
        1..2
    ok 1 - outer # time=2ms
    1..1
ok 1 - a.test.ts # time=1234.5ms
`

t.test('the TAP reader counts assertions at every depth, and does not count subtests', async (t) => {
  const { files, plans, rest } = read(`TAP version 14\n1..1\n${PASSED}# { total: 2, pass: 2 }\n`)
  t.match(files, [
    { file: 'a.test.ts', milliseconds: 1234.5, passed: 2, failed: 0, skipped: 0, failures: [] },
  ])
  t.equal(files.length, 1)
  t.same([plans, rest], [[1], []])
})

t.test('the TAP reader reports a failed assertion once, with its titles, place and difference', async (t) => {
  const { files } = read(`TAP version 14
1..1
# Subtest: b.test.ts
    # Subtest: outer
        # Subtest: inner
            not ok 1 - one is two
              ---
              compare: ===
              at:
                fileName: b.test.ts
                lineNumber: 3
              source: |
                t.equal(1, 2)
              diff: |
                -2
                +1
              ...
            1..1
        not ok 1 - inner # time=1ms
        1..1
    not ok 1 - outer # time=2ms
      ---
      at:
        fileName: b.test.ts
        lineNumber: 2
      ...
    1..1
not ok 1 - b.test.ts # time=3ms
  ---
  exitCode: 1
  ...
`)
  t.match(files, [{ passed: 0, failed: 1 }])
  t.same(files[0]?.failures, [
    { titles: ['outer', 'inner', 'one is two'], details: ['at b.test.ts:3', 'diff:', '  -2', '  +1'] },
  ])
})

t.test(
  'the TAP reader counts skipped and TODO tests as skipped, with their reasons, even if a TODO fails',
  async (t) => {
    const { files } = read(`TAP version 14
1..1
# Subtest: c.test.ts
    ok 1 - needs docker # SKIP no docker here
    not ok 2 - later # TODO
    ok 3 - now
    1..3
ok 1 - c.test.ts # time=3ms
`)
    t.match(files, [{ passed: 1, failed: 0, skipped: 2, skips: ['no docker here', 'later'] }])
  },
)

t.test(
  'the TAP reader reports a file that crashes after its last assertion as one failure, with its exit code',
  async (t) => {
    const { files } = read(`TAP version 14
1..1
# Subtest: d.test.ts
    ok 1 - fine
    1..1
not ok 1 - d.test.ts # time=3ms
  ---
  command: node
  exitCode: 3
  signal: null
  ...
`)
    t.match(files, [{ passed: 1, failed: 1, failures: [{ titles: [], details: ['exitCode: 3'] }] }])
  },
)

t.test(
  'the TAP reader reports a file that cannot be loaded as one failure, although tap finds no tests in it',
  async (t) => {
    const { files } = read(`TAP version 14
1..1
# Subtest: e.test.ts
    1..0 # no tests found
not ok 1 - e.test.ts # time=3ms
  ---
  exitCode: 1
  ...
`)
    t.match(files, [{ passed: 0, failed: 1, skipped: 0 }])
  },
)

t.test(
  'the TAP reader reports a file without a test as a failure, although tap reports it as skipped',
  async (t) => {
    const { files } = read(`TAP version 14
1..1
# Subtest: f.test.ts
    1..0 # no tests found
ok 1 - f.test.ts # SKIP no tests found
`)
    t.match(files, [{ passed: 0, failed: 1, skipped: 0, failures: [{ details: ['no tests found'] }] }])
  },
)

t.test('the TAP reader counts a file that is skipped as a whole once', async (t) => {
  const { files } = read(`TAP version 14
1..1
# Subtest: g.test.ts
    1..0 # no root here
ok 1 - g.test.ts # SKIP no root here
`)
  t.match(files, [{ passed: 0, failed: 0, skipped: 1, skips: ['no root here'] }])
})

t.test(
  'the TAP reader reports a timeout as one failure, although tap reports it for the test and for the run',
  async (t) => {
    const { files, rest } = read(`TAP version 14
1..2
# Subtest: h.test.ts
    # Subtest: hangs
        not ok 1 - timeout!
          ---
          signal: SIGALRM
          expired: TAP
          ...
        1..1
    not ok 1 - hangs # time=4009.397ms
    1..1
not ok 1 - h.test.ts # time=4021.504ms
  ---
  signal: SIGALRM
  ...
not ok 2 - timeout!
  ---
  expired: h.test.ts
  ...
`)
    t.match(files, [{ failed: 1, failures: [{ titles: ['hangs', 'timeout!'] }] }])
    t.same(rest, [])
  },
)

t.test('the TAP reader reports a bail-out as a failure with its reason', async (t) => {
  const { rest } = read(`TAP version 14\n1..2\n${PASSED}Bail out! no more\n`)
  t.match(rest, [{ failed: 1, failures: [{ details: ['bailed out: no more'] }] }])
})

t.test('the TAP reader reports output that ends within a file as a failure of that file', async (t) => {
  const { files, rest } = read(`TAP version 14\n1..2\n${PASSED}# Subtest: i.test.ts
    # Subtest: outer
        ok 1 - one
        not ok 2 - two
`)
  t.equal(files.length, 1)
  t.match(rest, [{ file: 'i.test.ts', passed: 1, failed: 2, milliseconds: undefined }])
  t.match(rest[0]?.failures, [{}, { titles: [], details: [/ended before its result/] }])
})

t.test('the TAP reader reports output that ends between two files as a failure', async (t) => {
  t.match(read(`TAP version 14\n1..2\n${PASSED}`).rest, [{ failed: 1 }])
})

t.test('the TAP reader reports output without TAP as a failure', async (t) => {
  for (const output of ['', 'Error: no such file\n', 'TAP version 14\n1..0\n']) {
    t.match(read(output).rest, [{ failed: 1, failures: [{ details: ['no test file was run'] }] }], output)
  }
})

t.test('the TAP reader truncates long diagnostics', async (t) => {
  const lines = Array.from({ length: 100 }, (_, at) => `        ${at} ${'x'.repeat(500)}`).join('\n')
  const { files } = read(`TAP version 14
1..1
# Subtest: j.test.ts
    not ok 1 - long
      ---
      diff: |
${lines}
      ...
    1..1
not ok 1 - j.test.ts # time=3ms
`)
  const { details = [] } = files[0]?.failures[0] ?? {}
  t.equal(details.length, 31)
  t.ok(details.every((line) => line.length <= 200))
})
