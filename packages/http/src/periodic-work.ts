import { setTimeout as sleep } from 'node:timers/promises'

export interface PeriodicWorkOptions {
  /** Pause between the end of one turn and the start of the next, in milliseconds. A function gives each pause. */
  readonly everyMs: number | (() => number)
  /** Whether the first turn waits for one pause; by default it runs at once. */
  readonly waitFirst?: boolean
  /** One turn. The signal is aborted when `stop` is called. */
  readonly work: (signal: AbortSignal) => unknown
  /** Receives the error of a failed turn; the next turn runs all the same. Errors after `stop` are dropped. */
  readonly onError?: (error: unknown) => void
}

export interface PeriodicWork {
  /** Starts the turns; does nothing if they run already. */
  start(): void
  /** Aborts the running turn's signal and waits for that turn to end. */
  stop(): Promise<void>
}

/**
 * Repeats work with a pause between turns; two turns never overlap. The pauses do not keep the process alive: a
 * process lives as long as its servers.
 */
export function createPeriodicWork({
  everyMs,
  waitFirst = false,
  work,
  onError = () => {},
}: PeriodicWorkOptions): PeriodicWork {
  let stopping: AbortController | undefined
  let turns = Promise.resolve()

  const pause = (signal: AbortSignal) =>
    sleep(typeof everyMs === 'number' ? everyMs : everyMs(), undefined, { signal, ref: false }).catch(
      () => {},
    )

  const repeat = async (signal: AbortSignal) => {
    if (waitFirst) await pause(signal)
    while (!signal.aborted) {
      try {
        await work(signal)
      } catch (error) {
        if (!signal.aborted) onError(error)
      }
      await pause(signal)
    }
  }

  return {
    start() {
      if (stopping !== undefined) return
      stopping = new AbortController()
      turns = repeat(stopping.signal)
    },
    async stop() {
      stopping?.abort(new Error('the service is stopping'))
      await turns
      stopping = undefined
    },
  }
}
