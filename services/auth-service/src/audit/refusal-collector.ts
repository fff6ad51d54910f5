import type { RequestContext } from '@registry-manager/http'
import { createPeriodicWork, currentRequestContext } from '@registry-manager/http'

/** Equal refusals, counted together. */
export interface Counted<Refusal> {
  readonly refusal: Refusal
  /** Times of the first and of the last one, in milliseconds since the epoch. */
  readonly first: number
  readonly last: number
  readonly count: number
  /** The id of the last of these requests. */
  readonly requestId: string | undefined
}

export interface RefusalCollectorPorts<Refusal> {
  record(counted: readonly Counted<Refusal>[]): Promise<void>
  /**
   * The part of a refusal that a client cannot vary, such as its network. Each source has a limited share of the
   * collected refusals.
   */
  sourceOf(refusal: Refusal): string
  /**
   * Removes the fields that one source can vary, such as the username. Applied if there are too many different
   * refusals, of a source or of all. It must map the refusals of a source to a few values.
   */
  generalize(refusal: Refusal): Refusal
  /** Removes the source too. Applied if there are too many sources. It must map all refusals to a few values. */
  anonymize(refusal: Refusal): Refusal
  /** Milliseconds since the epoch. */
  now(): number
  readonly onError: (error: unknown) => void
  /** The context of the current request. */
  readonly context?: (() => Pick<RequestContext, 'requestId'> | undefined) | undefined
}

export interface RefusalCollector<Refusal> {
  /** Notes a refusal in memory. */
  note(refusal: Refusal): void
  /** Records the noted refusals. */
  flush(): Promise<void>
  start(): void
  /** Records the noted refusals, and stops. */
  stop(): Promise<void>
}

const FLUSH_MS = 5000
/** Different refusals between two flushes, of all sources and of each; further ones are generalized. */
const [MAX_DIFFERENT, MAX_OF_SOURCE] = [200, 10]
/** Different generalized refusals between two flushes; further ones are anonymized. */
const MAX_GENERAL = 100

/** The levels of detail of a noted refusal. */
const LEVELS = ['specific', 'general', 'anonymous'] as const
type Level = (typeof LEVELS)[number]

/**
 * Collects refusals in memory and records them every few seconds, equal ones with their count, so that a flood adds a
 * bounded number of rows, and few if it comes from one source. Too many refusals lose detail step by step: first the
 * fields that one source varies, then the source. Refusals that could not be recorded are recorded with the next ones.
 * `Refusal` is plain JSON.
 */
export function createRefusalCollector<Refusal>(
  ports: RefusalCollectorPorts<Refusal>,
): RefusalCollector<Refusal> {
  const { record, sourceOf, generalize, anonymize, now, onError, context = currentRequestContext } = ports
  const generalizeTo = {
    specific: (refusal: Refusal) => refusal,
    general: generalize,
    anonymous: (refusal: Refusal) => anonymize(generalize(refusal)),
  }
  let noted = createNotes()

  function createNotes() {
    return {
      byKey: new Map<string, { readonly counted: Counted<Refusal>; readonly level: Level }>(),
      specificBySource: new Map<string, number>(),
      count: { specific: 0, general: 0, anonymous: 0 },
    }
  }

  const hasRoom = (level: Level, source: string): boolean => {
    if (level === 'anonymous') return true
    if (level === 'general') return noted.count.general < MAX_GENERAL
    const ofSource = noted.specificBySource.get(source) ?? 0
    return noted.count.specific < MAX_DIFFERENT && ofSource < MAX_OF_SOURCE
  }

  const add = (added: Counted<Refusal>, from: Level) => {
    const source = sourceOf(added.refusal)
    for (const level of LEVELS.slice(LEVELS.indexOf(from))) {
      const counted = { ...added, refusal: generalizeTo[level](added.refusal) }
      const key = JSON.stringify(counted.refusal)
      const known = noted.byKey.get(key)
      if (known !== undefined) {
        noted.byKey.set(key, { ...known, counted: merge(known.counted, counted) })
        return
      }
      if (hasRoom(level, source)) {
        noted.byKey.set(key, { counted, level })
        noted.count[level] += 1
        if (level === 'specific')
          noted.specificBySource.set(source, (noted.specificBySource.get(source) ?? 0) + 1)
        return
      }
    }
  }

  const flush = async () => {
    if (noted.byKey.size === 0) return
    const batch = [...noted.byKey.values()]
    noted = createNotes()
    try {
      await record(batch.map(({ counted }) => counted))
    } catch (error) {
      for (const { counted, level } of batch) add(counted, level)
      onError(error)
    }
  }
  const flushing = createPeriodicWork({ everyMs: FLUSH_MS, waitFirst: true, work: flush })

  return {
    note(refusal) {
      const at = now()
      add({ refusal, first: at, last: at, count: 1, requestId: context()?.requestId }, 'specific')
    },
    flush,
    start: flushing.start,
    async stop() {
      await flushing.stop()
      await flush()
    },
  }
}

/** Adds up two counts. The result has the refusal and the request id of the later one. */
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
