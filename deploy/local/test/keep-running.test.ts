import t from 'tap'
import { until } from '@registry-manager/testing/until'
import type { Start } from '../keep-running.ts'
import { keepRunning } from '../keep-running.ts'

/** A process that the test ends; `fails` lists the starts, counted from 1, that fail. */
function testProcess(fails: readonly number[] = []) {
  const state = { starts: 0, stops: 0, end: (_reason: string) => {} }
  const start: Start = async (onDeath) => {
    state.starts += 1
    if (fails.includes(state.starts)) throw new Error('it cannot start')
    state.end = onDeath
    return { pid: state.starts, stop: async () => void (state.stops += 1) }
  }
  return { state, start }
}

/** Records the reports and process ids of `keepRunning`, and waits for a process id. */
function listener() {
  const lines: string[] = []
  const pids: (number | undefined)[] = []
  return {
    lines,
    pids,
    say: (line: string) => void lines.push(line),
    onPid: (pid: number | undefined) => void pids.push(pid),
    untilPid: (pid: number) => until(() => pids.includes(pid), `the process runs with id ${pid}`),
  }
}

t.test('a process that ends is restarted, the first time without a pause', async (t) => {
  const { state, start } = testProcess()
  const heard = listener()
  const kept = await keepRunning('a process', start, heard)
  t.strictSame(heard.pids, [1])
  state.end('SIGKILL')
  await heard.untilPid(2)
  t.strictSame(heard.pids, [1, undefined, 2])
  t.strictSame(heard.lines, ['a process ended (SIGKILL): restarting it'])
  await kept.stop()
  t.equal(state.stops, 1)
  t.equal(heard.pids.at(-1), undefined)
})

t.test(
  'a process that keeps ending is restarted after growing pauses, and each restart is reported',
  async (t) => {
    const { state, start } = testProcess([2, 3])
    const heard = listener()
    const kept = await keepRunning('a process', start, heard)
    state.end('exit 1')
    await heard.untilPid(4)
    t.strictSame(heard.lines, [
      'a process ended (exit 1): restarting it',
      'a process ended (it cannot start), 2 times in a row: restarting it in 0.25 s',
      'a process ended (it cannot start), 3 times in a row: restarting it in 1 s',
    ])
    await kept.stop()
  },
)

t.test('keepRunning rejects if the first start fails', async (t) => {
  const { start } = testProcess([1])
  await t.rejects(keepRunning('a process', start, listener()), { message: 'it cannot start' })
})

t.test('keepRunning retries a failed first start up to `tries` times', async (t) => {
  const { start } = testProcess([1, 2])
  const heard = listener()
  const kept = await keepRunning('a process', start, { ...heard, tries: 3 })
  t.strictSame(heard.lines, ['it cannot start: retrying', 'it cannot start: retrying'])
  t.strictSame(heard.pids, [3])
  await kept.stop()
})

t.test('a process that ends after stop() is not restarted', async (t) => {
  const { state, start } = testProcess()
  const heard = listener()
  const kept = await keepRunning('a process', start, heard)
  await kept.stop()
  state.end('exit 0')
  await new Promise((resolve) => setTimeout(resolve, 50))
  t.equal(state.starts, 1)
  t.strictSame(heard.lines, [])
})
