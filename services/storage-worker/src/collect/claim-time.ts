import type { RemovalTime } from '../storage/storage.ts'

/** Milliseconds of a clock that is never set back, and of one that runs on while the machine is suspended. */
export interface Clocks {
  readonly monotonic: () => number
  readonly wall: () => number
}

export const SYSTEM_CLOCKS: Clocks = { monotonic: () => performance.now(), wall: Date.now }

/** The fraction of a claim's time in which the worker starts removals. The rest is for removals that have started. */
const START_FRACTION = 3 / 4

/** Time for removals after SIGTERM, in milliseconds. */
const STOP_MS = 5000

export interface ClaimTime extends RemovalTime {
  /** Whether the claim itself has ended. image-manager ignores its results then. */
  hasEnded(): boolean
  close(): void
}

/** Starts to measure the time of a claim. Call it before the claim is requested: image-manager's clock starts later. */
export function startStopwatch({ monotonic, wall }: Clocks): () => number {
  const [start, startOnWall] = [monotonic(), wall()]
  return () => Math.max(monotonic() - start, wall() - startOnWall)
}

/** The time of a claim that lasts `seconds`. `elapsedMs` returns the elapsed part of it. */
export function createClaimTime(elapsedMs: () => number, seconds: number, stopping: AbortSignal): ClaimTime {
  const [endMs, lastMs] = [seconds * 1000, seconds * 1000 * START_FRACTION]
  const controller = new AbortController()
  const end = () => controller.abort(new Error('the time of the claim is over'))
  const timers = [setTimeout(end, Math.max(0, lastMs - elapsedMs()))]
  const stop = () => timers.push(setTimeout(end, STOP_MS))
  if (stopping.aborted) stop()
  else stopping.addEventListener('abort', stop, { once: true })
  return {
    isOver: () => controller.signal.aborted || elapsedMs() >= lastMs,
    hasEnded: () => elapsedMs() >= endMs,
    signal: controller.signal,
    close() {
      stopping.removeEventListener('abort', stop)
      for (const timer of timers) clearTimeout(timer)
    },
  }
}
