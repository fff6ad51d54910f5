import { randomUUID } from 'node:crypto'
import type { PeriodicWork } from '@registry-manager/http'
import { ServiceCallError, createPeriodicWork } from '@registry-manager/http'
import type { FastifyBaseLogger } from 'fastify'

/** A manifest that a client has read, and the tag in the request. `tag` is undefined if the client named the digest. */
export interface Pull {
  readonly repository: string
  readonly digest: string
  readonly tag: string | undefined
}

/** The number of pulls of a manifest by a tag or by its digest, and the time of the last one. */
export interface PullCount extends Pull {
  readonly count: number
  readonly lastAt: Date
}

/** Counts that are sent together. image-manager adds a batch once, even if it is sent several times. */
export interface PullBatch {
  readonly id: string
  readonly pulls: readonly PullCount[]
}

export interface PullCounterOptions {
  /** Sends a batch to image-manager. */
  readonly send: (batch: PullBatch) => Promise<void>
  /** Milliseconds since the epoch. */
  readonly now: () => number
  readonly log: Pick<FastifyBaseLogger, 'warn'>
  readonly everyMs?: number
}

export interface PullCounter extends PeriodicWork {
  /** Counts a pull in memory. Never fails and never waits. */
  count(pull: Pull): void
}

/** A count in memory, which grows in place. */
interface WaitingPull extends Pull {
  count: number
  /** Milliseconds since the epoch. */
  lastMs: number
}

/** Maximum number of different pulls that wait while image-manager is unavailable. One needs about 500 bytes. */
export const MAX_WAITING = 20_000
/** Maximum number of different pulls in a batch. */
export const MAX_BATCH = 1000
/** Pause before the counts are sent again, in milliseconds. */
const SEND_MS = 5000

/**
 * Counts pulls in memory and sends the counts to image-manager every few seconds. A batch that fails is sent again with
 * the same id until image-manager has it. `stop` sends the remaining counts once; a process that is killed loses its
 * counts.
 */
export function createPullCounter(options: PullCounterOptions): PullCounter {
  const { send, now, log, everyMs = SEND_MS } = options
  const waiting = new Map<string, WaitingPull>()
  let unsent: PullBatch | undefined
  let isFailing = false
  let lost = 0

  const takeBatch = (): PullBatch | undefined => {
    const taken = [...waiting.entries().take(MAX_BATCH)]
    for (const [key] of taken) waiting.delete(key)
    if (taken.length === 0) return undefined
    const pulls = taken.map(([, { lastMs, ...pull }]) => ({ ...pull, lastAt: new Date(lastMs) }))
    return { id: randomUUID(), pulls }
  }
  const sendAll = async () => {
    if (lost > 0) log.warn({ lost }, 'too many different manifests were pulled; some pulls are not counted')
    lost = 0
    for (unsent ??= takeBatch(); unsent !== undefined; unsent = takeBatch()) {
      try {
        await send(unsent)
      } catch (error) {
        if (!isRefusal(error)) throw error
        log.warn({ err: error }, 'image-manager refused a batch of pull counts; the batch is dropped')
      }
    }
    isFailing = false
  }
  const onError = (err: unknown) => {
    if (!isFailing) log.warn({ err }, 'could not send counts of pulls; will retry')
    isFailing = true
  }
  const sending = createPeriodicWork({ everyMs, waitFirst: true, work: sendAll, onError })

  return {
    count({ repository, digest, tag }) {
      const key = `${repository} ${digest} ${tag ?? ''}`
      const counted = waiting.get(key)
      if (counted !== undefined) {
        counted.count += 1
        counted.lastMs = now()
      } else if (waiting.size < MAX_WAITING) {
        waiting.set(key, { repository, digest, tag, count: 1, lastMs: now() })
      } else {
        lost += 1
      }
    },
    start: sending.start,
    async stop() {
      await sending.stop()
      await sendAll().catch(onError)
    },
  }
}

/** Whether image-manager will never accept a batch. */
function isRefusal(error: unknown): boolean {
  return error instanceof ServiceCallError && (error.status === 400 || error.status === 413)
}
