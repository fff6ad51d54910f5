import { setTimeout as sleep } from 'node:timers/promises'
import { explainError } from '@registry-manager/http'
import type { Running } from './child.ts'

/** How long to wait before a part is started again, in milliseconds, by how often in a row it ended; then the last. */
const WAITS = [0, 250, 1000, 2000, 4000, 8000]
/** What ran for so long is counted anew. */
const STEADY_MS = 20_000
/** A part that is being started again when all is to end is waited for so long. */
const STOP_MS = 1000

/** Starts a part once; calls back when it ends by itself. */
export type Start = (onDeath: (reason: string) => void) => Promise<Running>

export interface Kept {
  stop(): Promise<void>
}

export interface KeepOptions {
  readonly say: (line: string) => void
  /** Gets the process id once the part serves, and undefined once it does no more. */
  readonly onPid: (pid: number | undefined) => void
  /** How often it may fail to start before that is a fault. */
  readonly tries?: number
}

/**
 * Starts a part, and starts it again whenever it ends by itself: at once the first time, ever later while it goes on
 * ending. Throws when it does not start the first time.
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
      say(`${name} ended (${why})${times}: starting it again${wait > 0 ? ` in ${wait / 1000} s` : ''}`)
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
      say(`${explainError(error)}: trying again`)
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
