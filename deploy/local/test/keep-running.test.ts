import t from 'tap'
import { until } from '@registry-manager/testing/until'
import type { Start } from '../keep-running.ts'
import { keepRunning } from '../keep-running.ts'

/** A part that a test ends; `fails` are the starts, counted from 1, that go wrong. */
function part(fails: readonly number[] = []) {
  const state = { starts: 0, stops: 0, end: (_reason: string) => {} }
  const start: Start = async (onDeath) => {
    state.starts += 1
    if (fails.includes(state.starts)) throw new Error('it cannot start')
    state.end = onDeath
    return { pid: state.starts, stop: async () => void (state.stops += 1) }
  }
  return { state, start }
}

/** What a kept part says and tells, and a way to wait for it. */
function listener() {
  const lines: string[] = []
  const pids: (number | undefined)[] = []
  return {
    lines,
    pids,
    say: (line: string) => void lines.push(line),
    onPid: (pid: number | undefined) => void pids.push(pid),
    untilPid: (pid: number) => until(() => pids.includes(pid), `the part runs as process ${pid}`),
  }
}

t.test('a part that ends is started again, at once the first time', async (t) => {
  const { state, start } = part()
  const heard = listener()
  const kept = await keepRunning('a part', start, heard)
  t.strictSame(heard.pids, [1])
  state.end('SIGKILL')
  await heard.untilPid(2)
  t.strictSame(heard.pids, [1, undefined, 2])
  t.strictSame(heard.lines, ['a part ended (SIGKILL): restarting it'])
  await kept.stop()
  t.equal(state.stops, 1)
  t.equal(heard.pids.at(-1), undefined)
})

t.test('one that goes on ending is given more time, and told of', async (t) => {
  const { state, start } = part([2, 3])
  const heard = listener()
  const kept = await keepRunning('a part', start, heard)
  state.end('exit 1')
  await heard.untilPid(4)
  t.strictSame(heard.lines, [
    'a part ended (exit 1): restarting it',
    'a part ended (it cannot start), 2 times in a row: restarting it in 0.25 s',
    'a part ended (it cannot start), 3 times in a row: restarting it in 1 s',
  ])
  await kept.stop()
})

t.test('one that never starts is a fault', async (t) => {
  const { start } = part([1])
  await t.rejects(keepRunning('a part', start, listener()), { message: 'it cannot start' })
})

t.test('unless it may try more than once', async (t) => {
  const { start } = part([1, 2])
  const heard = listener()
  const kept = await keepRunning('a part', start, { ...heard, tries: 3 })
  t.strictSame(heard.lines, ['it cannot start: retrying', 'it cannot start: retrying'])
  t.strictSame(heard.pids, [3])
  await kept.stop()
})

t.test('once all is to end, nothing is started again', async (t) => {
  const { state, start } = part()
  const heard = listener()
  const kept = await keepRunning('a part', start, heard)
  await kept.stop()
  state.end('exit 0')
  await new Promise((resolve) => setTimeout(resolve, 50))
  t.equal(state.starts, 1)
  t.strictSame(heard.lines, [])
})
