import { spawn } from 'node:child_process'
import { once } from 'node:events'
import { appendFileSync, openSync, readFileSync, readdirSync, statSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { setTimeout as sleep } from 'node:timers/promises'
import t from 'tap'
import { findStorageFailure, rotateLogs, watchStorage } from '../logs.ts'

t.test('a log above the size limit is rotated, and only the newest rotated logs are kept', async (t) => {
  const folder = t.testdir({ 'small.log': 'small', 'other.txt': 'x'.repeat(100) })
  const limits = { maxBytes: 10, keep: 3 }
  for (let round = 1; round <= 5; round += 1) {
    writeFileSync(join(folder, 'large.log'), `round ${round}, which is long`)
    await rotateLogs(folder, limits)
  }
  const names = ['large.log', 'large.log.1', 'large.log.2', 'large.log.3', 'other.txt', 'small.log']
  t.strictSame(readdirSync(folder).toSorted(), names)
  t.equal(readFileSync(join(folder, 'large.log'), 'utf8'), '')
  for (const [age, round] of [5, 4, 3].entries()) {
    t.equal(readFileSync(join(folder, `large.log.${age + 1}`), 'utf8'), `round ${round}, which is long`)
  }
  t.equal(readFileSync(join(folder, 'small.log'), 'utf8'), 'small')
})

t.test('after a rotation, a running program continues at the start of the emptied log', async (t) => {
  const folder = t.testdir()
  const log = join(folder, 'program.log')
  const output = openSync(log, 'a', 0o600)
  const program = "let n = 0; setInterval(() => console.log('line', n++), 5)"
  const child = spawn(process.execPath, ['-e', program], { stdio: ['ignore', output, output] })
  t.teardown(() => child.kill('SIGKILL'))
  const end = Date.now() + 20_000
  while (statSync(log).size < 500 && Date.now() < end) await sleep(10)
  await rotateLogs(folder, { maxBytes: 100, keep: 2 })
  while (statSync(log).size < 50 && Date.now() < end) await sleep(10)
  child.kill('SIGKILL')
  await once(child, 'exit')
  const [older, newer] = [readFileSync(`${log}.1`, 'utf8'), readFileSync(log, 'utf8')]
  t.match(older, /^line 0\n/)
  t.match(newer, /^(line \d+\n)+$/, 'the log has no hole at its start')
  t.equal(statSync(`${log}.1`).mode & 0o077, 0, 'only its owner can read the rotated log')
})

t.test(
  'findStorageFailure recognises storage failures in log lines of the registry and ignores other lines',
  async (t) => {
    for (const [line, failure] of [
      ['level=error msg="write /images/_uploads/x/data: no space left on device"', 'no space left on device'],
      ['write /x: disk quota exceeded', 'disk quota exceeded'],
      ['mkdir /x: Read-only file system', 'read-only file system'],
      ['level=error msg="response completed with error" err.code="blob unknown"', undefined],
      ['', undefined],
    ] as const) {
      t.equal(findStorageFailure(line), failure, line)
    }
  },
)

t.test(
  'watchStorage reports a storage failure once a minute, and ignores failures from before the start',
  async (t) => {
    const folder = t.testdir({ 'registry.log': 'yesterday: input/output error\n' })
    const log = join(folder, 'registry.log')
    const said: string[] = []
    const stop = watchStorage({ log, folder }, (line) => said.push(line))
    t.teardown(stop)
    await sleep(300)
    for (let times = 0; times < 3; times += 1) {
      appendFileSync(log, 'write: no space left on device\n')
      await sleep(1100)
    }
    const reports = said.filter((line) => line.startsWith('the registry'))
    t.strictSame(reports, [`the registry cannot store data: no space left on device (see ${log})`])
  },
)
