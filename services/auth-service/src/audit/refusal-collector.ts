import type { RequestContext } from '@registry-manager/http'
import { createPeriodicWork, currentRequestContext } from '@registry-manager/http'

/** Equal refusals, counted together. */
export interface Counted<Refusal> {
  readonly refusal: Refusal
  /** Times of the first and of the last one, in milliseconds since the epoch. */
  readonly first: number
  readonly last: number
  readonly count: number
  /** Of the last one. */
  readonly requestId: string | undefined
}

export interface RefusalCollectorPorts<Refusal> {
  record(counted: readonly Counted<Refusal>[]): Promise<void>
  /**
   * Removes the fields that make refusals differ, such as the account. Applied to all refusals after the first 500
   * different ones, so it must map all refusals to a few values.
   */
  generalize(refusal: Refusal): Refusal
  /** Milliseconds since the epoch. */
  now(): number
  readonly onError: (error: unknown) => void
  /** The context of the current request. */
  readonly context?: (() => Pick<RequestContext, 'requestId'> | undefined) | undefined
}

export interface RefusalCollector<Refusal> {
  /** Notes a refusal in memory. */
  note(refusal: Refusal): void
  /** Records what was noted. */
  flush(): Promise<void>
  start(): void
  /** Records what was noted, and stops. */
  stop(): Promise<void>
}

const FLUSH_MS = 5000
/** Different refusals between two flushes; further ones are generalized. */
const MAX_DIFFERENT = 500

/**
 * Collects refusals in memory and records them every few seconds, equal ones with their count, so that a flood adds a
 * bounded number of rows. Refusals that could not be recorded are recorded with the next ones. `Refusal` is plain JSON.
 */
export function createRefusalCollector<Refusal>(
  ports: RefusalCollectorPorts<Refusal>,
): RefusalCollector<Refusal> {
  const { record, generalize, now, onError, context = currentRequestContext } = ports
  let noted = new Map<string, Counted<Refusal>>()

  const add = (counted: Counted<Refusal>) => {
    const key = JSON.stringify(counted.refusal)
    const general = generalize(counted.refusal)
    const known = noted.get(key)
    if (known !== undefined) noted.set(key, merge(known, counted))
    else if (noted.size < MAX_DIFFERENT || JSON.stringify(general) === key) noted.set(key, counted)
    else add({ ...counted, refusal: general })
  }

  const flush = async () => {
    if (noted.size === 0) return
    const batch = [...noted.values()]
    noted = new Map()
    try {
      await record(batch)
    } catch (error) {
      for (const counted of batch) add(counted)
      onError(error)
    }
  }
  const flushing = createPeriodicWork({ everyMs: FLUSH_MS, waitFirst: true, work: flush })

  return {
    note(refusal) {
      const at = now()
      add({ refusal, first: at, last: at, count: 1, requestId: context()?.requestId })
    },
    flush,
    start: flushing.start,
    async stop() {
      await flushing.stop()
      await flush()
    },
  }
}

/** Counts two together, under the refusal of the later one. */
export function merge<Refusal>(one: Counted<Refusal>, other: Counted<Refusal>): Counted<Refusal> {
  const latest = one.last > other.last ? one : other
  return { ...latest, first: Math.min(one.first, other.first), count: one.count + other.count }
}

/** The fields of an event that all refusals have. */
export function countedEvent({ first, last, count, requestId }: Counted<unknown>, reason?: string) {
  return {
    outcome: 'refused',
    time: new Date(last),
    ...(requestId !== undefined && { requestId }),
    detail: {
      ...(reason !== undefined && { reason }),
      count,
      ...(count > 1 && { since: new Date(first).toISOString() }),
    },
  } as const
}
