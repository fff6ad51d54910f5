import { setTimeout as sleep } from 'node:timers/promises'
import { explainError } from '@registry-manager/http'
import type { Running } from './child-process.ts'

/** Milliseconds before each restart in a row. The last value repeats. */
const WAITS = [0, 250, 1000, 2000, 4000, 8000]
/** A process that ran this long resets the count of restarts. */
const STEADY_MS = 20_000
/** Time for which `stop` waits for a restart in progress. */
const STOP_MS = 1000

/** Starts a process once. Calls `onDeath` when it ends by itself. */
export type Start = (onDeath: (reason: string) => void) => Promise<Running>

export interface Kept {
  stop(): Promise<void>
}

export interface KeepOptions {
  readonly say: (line: string) => void
  /** Called with the process id when the process serves, and with undefined when it ends. */
  readonly onPid: (pid: number | undefined) => void
  /** Maximum number of tries of the first start. */
  readonly tries?: number
}

/**
 * Starts a process and restarts it whenever it ends by itself: at once after the first end, with growing pauses while
 * it keeps ending. Throws when the first start fails.
 */
export async function keepRunning(
  name: string,
  start: Start,
  { say, onPid, tries = 1 }: KeepOptions,
): Promise<Kept> {
  let failures = 0
  let startedAt = 0
  let stopped = false
  let running: Running | undefined
  let restarting = Promise.resolve()

  const run = async () => {
    running = await start((reason) => (restarting = restart(reason)))
    startedAt = Date.now()
    onPid(running.pid)
    if (stopped) await running.stop()
  }
  const restart = async (reason: string) => {
    onPid(undefined)
    if (stopped) return
    let why = reason
    if (Date.now() - startedAt > STEADY_MS) failures = 0
    for (;;) {
      const wait = WAITS[Math.min(failures, WAITS.length - 1)] ?? 0
      failures += 1
      const times = failures > 1 ? `, ${failures} times in a row` : ''
      say(`${name} ended (${why})${times}: restarting it${wait > 0 ? ` in ${wait / 1000} s` : ''}`)
      await sleep(wait)
      if (stopped) return
      try {
        await run()
        return
      } catch (error) {
        why = explainError(error)
      }
    }
  }

  for (let left = tries - 1; ; left -= 1) {
    try {
      await run()
      break
    } catch (error) {
      if (left <= 0) throw error
      say(`${explainError(error)}: retrying`)
    }
  }
  return {
    async stop() {
      stopped = true
      await running?.stop()
      onPid(undefined)
      await Promise.race([restarting, sleep(STOP_MS)])
    },
  }
}
