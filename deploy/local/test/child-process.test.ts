import { spawnSync } from 'node:child_process'
import { chmodSync, mkdirSync, truncateSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import t from 'tap'
import { asUser, startChild } from '../child-process.ts'

/** More than Node reads into one Buffer. The file is sparse: it takes no space on the disk. */
const LARGE = 3 * 2 ** 30

t.test('isReady gets only the output since the start, however large the existing log is', async (t) => {
  const log = join(t.testdir(), 'a.log')
  writeFileSync(log, 'ready\n')
  truncateSync(log, LARGE)
  const heard: string[] = []
  const child = await startChild({
    name: 'a program',
    command: process.execPath,
    args: [
      '-e',
      "console.log('up'); setTimeout(() => console.log('ready'), 50); setInterval(() => {}, 1000)",
    ],
    log,
    isReady(printed) {
      heard.push(printed)
      return printed.includes('ready')
    },
  })
  await child.stop()
  t.equal(heard.at(-1), 'up\nready\n')
})

t.test('the error of a program that does not start quotes the last line of its output', async (t) => {
  const log = join(t.testdir(), 'a.log')
  writeFileSync(log, 'output of an earlier start\n')
  const start = startChild({
    name: 'a program',
    command: process.execPath,
    args: ['-e', "console.log('one'); console.log('the port is taken'); process.exit(3)"],
    log,
    isReady: () => false,
  })
  await t.rejects(start, { message: 'a program does not start (exit 3): the port is taken' })
})

const notRoot = process.getuid?.() !== 0 && 'only root can start programs as another user'

t.test(
  'a program that runs as another user can pass through our folders and change nothing in them',
  { skip: notRoot },
  async (t) => {
    const shut = t.testdir()
    const theirs = join(shut, 'theirs')
    mkdirSync(theirs)
    chmodSync(theirs, 0o777)
    writeFileSync(join(shut, 'ours'), 'ours')
    chmodSync(shut, 0o700)
    const as = (script: string) =>
      spawnSync('setpriv', [...asUser({ uid: 65534, gid: 65534 }), 'sh', '-c', script], { encoding: 'utf8' })
    t.match(as(`cd ${theirs} && echo good >file && cat file && id -u`), {
      status: 0,
      stdout: 'good\n65534\n',
    })
    for (const script of ['echo x >ours', 'echo x >new', 'rm ours', 'chmod 777 .', 'kill -0 $PPID']) {
      t.not(as(`cd ${shut} && ${script}`).status, 0, script)
    }
  },
)
