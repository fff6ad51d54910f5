import type { Database } from '@registry-manager/database'
import type { PeriodicWork } from '@registry-manager/http'
import { createPeriodicWork } from '@registry-manager/http'
import type { FastifyBaseLogger } from 'fastify'
import type { RecoverInterruptedPorts } from './delete-to-trash.ts'
import { recoverInterrupted } from './delete-to-trash.ts'
import type { EmptyEntryPorts } from './empty-entry.ts'
import { emptyEntry } from './empty-entry.ts'
import { createKeptTrashRepository } from './kept-trash-repository.ts'
import type { TrashMetrics } from './metrics.ts'
import { createTrashContentsRepository } from './trash-contents-repository.ts'
import { createTrashEntriesRepository } from './trash-entries-repository.ts'
import type { TrashEntry } from './trash-entry.ts'

/** The repository objects of the trash, under the names that use cases give to their ports. */
export function createTrashRepositories(db: Database) {
  return {
    trashEntries: createTrashEntriesRepository(db),
    trashContents: createTrashContentsRepository(db),
    keptTrash: createKeptTrashRepository(db),
  }
}

export type TrashSchedulePorts = Omit<RecoverInterruptedPorts & EmptyEntryPorts, 'registry' | 'keptTrash'> & {
  readonly keptTrash: EmptyEntryPorts['keptTrash'] & {
    expire(limit: number): Promise<number>
    takeEmptying(): Promise<TrashEntry | undefined>
    releaseInterrupted(): Promise<void>
    measure(): Promise<{ readonly entries: number; readonly bytes: number }>
  }
  /** Creates a client whose requests the signal aborts. */
  readonly createRegistry: (
    signal: AbortSignal,
  ) => RecoverInterruptedPorts['registry'] & EmptyEntryPorts['registry']
  readonly metrics: Pick<TrashMetrics, 'ended' | 'measured'>
}

const EVERY_MS = 30_000
/** Number of entries that one transaction ends. */
const BATCH = 100

/**
 * Ends entries that have expired, empties entries that have ended, and recovers interrupted deletions and restores.
 * Replicas share the work: each claims entries that no other replica works on.
 */
export function createTrashSchedule(
  { createRegistry, metrics, ...ports }: TrashSchedulePorts,
  log: Pick<FastifyBaseLogger, 'info' | 'warn'>,
  everyMs = EVERY_MS,
): PeriodicWork {
  const { keptTrash } = ports
  const expireAll = async (signal: AbortSignal) => {
    for (let expired = BATCH; expired === BATCH && !signal.aborted;) {
      expired = await keptTrash.expire(BATCH)
      metrics.ended('expired', expired)
    }
  }
  return createPeriodicWork({
    everyMs,
    async work(signal) {
      const withRegistry = { ...ports, registry: createRegistry(signal) }
      await keptTrash.releaseInterrupted()
      await recoverInterrupted(withRegistry, signal)
      await expireAll(signal)
      let emptied = 0
      while (!signal.aborted) {
        const entry = await keptTrash.takeEmptying()
        if (entry === undefined) break
        await emptyEntry(withRegistry, entry, signal)
        emptied += 1
      }
      if (emptied > 0) log.info({ entries: emptied }, 'entries of the trash were emptied')
      metrics.measured(await keptTrash.measure())
    },
    onError: (err) => log.warn({ err }, 'could not empty the trash; will retry within a minute'),
  })
}
