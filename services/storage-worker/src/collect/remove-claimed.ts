import { setTimeout as sleep } from 'node:timers/promises'
import { explainError } from '@registry-manager/http'
import type { Removal, RemovalTime, Storage } from '../storage/storage.ts'
import type { Clocks } from './claim-time.ts'
import { createClaimTime, startStopwatch } from './claim-time.ts'

/** Digests whose data only this worker may remove, for `seconds`. */
export interface Claim {
  readonly id: string
  readonly digests: readonly string[]
  readonly seconds: number
  /** Maximum number of removals in a second; `BLOBS_PER_SECOND` if it is left out. */
  readonly blobsPerSecond?: number | null | undefined
}

/** image-manager, which decides about removals. */
export interface Claims {
  /** Undefined if there is nothing to remove now. */
  claim(): Promise<Claim | undefined>
  report(id: string, results: Pick<Removal, 'removed' | 'failed'>): Promise<'accepted' | 'refused'>
}

export interface RemoveClaimedDeps {
  readonly claims: Claims
  readonly storage: Pick<Storage, 'removeBlobs' | 'batch'>
  readonly clocks: Clocks
  readonly log: Log
  /** Called with the outcome of each claim. */
  readonly onRemoval: (removal: Removal) => void
}

export interface Log {
  info(fields: object, text: string): void
  warn(fields: object, text: string): void
}

/** The default pace. Faster removals would take CPU time from pushes (`npm run bench -- removal`). */
export const BLOBS_PER_SECOND = 1000
/** The longest pause. With a very low rate it ends before the next blob is due: the next claim is then empty. */
const MAX_PAUSE_MS = 5000
/** Pause before results are sent again, in milliseconds. */
const RETRY_MS = 1000
/** The number of failures that a log line names. */
const NAMED = 10
/** The longest reason that image-manager accepts. */
const REASON_LENGTH = 500

/** Waits until the rate permits another removal after this number of blobs. */
type Pause = (blobs: number) => Promise<void>

/**
 * Claims digests, removes their data and reports the results, until nothing is left to remove or the worker stops.
 * After a crash at any point, image-manager gives the digests to a later claim.
 */
export function createRemoveClaimed({ claims, storage, clocks, log, onRemoval }: RemoveClaimedDeps) {
  return async (stopping: AbortSignal): Promise<void> => {
    while (!stopping.aborted) {
      const elapsedMs = startStopwatch(clocks)
      const claim = await claims.claim()
      if (claim === undefined) return
      const time = createClaimTime(elapsedMs, claim.seconds, stopping)
      try {
        const pause = createPause(claim, elapsedMs, stopping)
        const removal = await removeAtPace(claim, time, pause)
        onRemoval(removal)
        logRemoval(claim, removal, elapsedMs())
        await report(claim, removal, time.hasEnded, stopping)
        await pause(claim.digests.length)
      } finally {
        time.close()
      }
    }
  }

  /**
   * Removes the digests in batches, sorted so that digests with a common prefix are neighbours. A worker that stops
   * removes the rest without pauses, because digests that it leaves could be claimed only later.
   */
  async function removeAtPace({ digests }: Claim, time: RemovalTime, pause: Pause): Promise<Removal> {
    const sorted = digests.toSorted()
    const outcomes: Removal[] = []
    for (let at = 0; at < sorted.length; at += storage.batch) {
      if (at > 0) await pause(at)
      outcomes.push(await storage.removeBlobs(sorted.slice(at, at + storage.batch), time))
    }
    return {
      removed: outcomes.flatMap(({ removed }) => removed),
      failed: outcomes.flatMap(({ failed }) => failed),
      unknown: outcomes.flatMap(({ unknown }) => unknown),
    }
  }

  /** Creates the pauses of a claim. If image-manager sets a rate, the time counts from its response. */
  function createPause({ blobsPerSecond }: Claim, elapsedMs: () => number, stopping: AbortSignal): Pause {
    const begin = blobsPerSecond == null ? 0 : elapsedMs()
    return async (blobs) => {
      const dueMs = (blobs / (blobsPerSecond ?? BLOBS_PER_SECOND)) * 1000
      const early = Math.min(dueMs - (elapsedMs() - begin), MAX_PAUSE_MS)
      if (early > 0) await sleep(early, undefined, { signal: stopping }).catch(() => {})
    }
  }

  async function report(
    { id }: Claim,
    { removed, failed }: Removal,
    hasEnded: () => boolean,
    stopping: AbortSignal,
  ): Promise<void> {
    const short = failed.map(({ digest, reason }) => ({ digest, reason: reason.slice(0, REASON_LENGTH) }))
    for (;;) {
      try {
        const outcome = await claims.report(id, { removed, failed: short })
        if (outcome === 'refused') log.warn({ claim: id }, 'image-manager refused the results of a claim')
        return
      } catch (error) {
        // Without results, the claim ends by itself, and its digests are claimed again.
        if (hasEnded() || stopping.aborted) {
          log.warn({ claim: id, reason: explainError(error) }, 'the results of a claim could not be reported')
          return
        }
        await sleep(RETRY_MS, undefined, { signal: stopping }).catch(() => {})
      }
    }
  }

  function logRemoval({ id, digests }: Claim, { removed, failed, unknown }: Removal, ms: number): void {
    const bytes = removed.reduce((sum, { bytes }) => sum + (bytes ?? 0), 0)
    const counts = { claimed: digests.length, removed: removed.length, bytes, ms: Math.round(ms) }
    log.info({ claim: id, ...counts }, 'removed data that nothing references')
    for (const [some, text] of [
      [failed, 'the data of some digests could not be removed'],
      [unknown, 'the outcome of some removals is unknown; their digests will be claimed again'],
    ] as const)
      if (some.length > 0) log.warn({ claim: id, digests: some.length, first: some.slice(0, NAMED) }, text)
  }
}
