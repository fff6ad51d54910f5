import type { FastifyBaseLogger } from 'fastify'
import type { RemoveOrphansPorts } from './delete-orphans.ts'
import { removeOldOrphans } from './delete-orphans.ts'

/** Between two turns, in milliseconds. */
const PAUSE_MS = 60_000

/**
 * Deletes once a minute what earlier deletions left over: after a crash, or where an upload ended only after its
 * repository was deleted. Replicas share the work: each takes orphans that nobody else has.
 */
export function createOrphanSchedule(ports: RemoveOrphansPorts, log: FastifyBaseLogger, pauseMs = PAUSE_MS) {
  let timer: NodeJS.Timeout | undefined
  let turn: Promise<void> = Promise.resolve()
  const work = async () => {
    try {
      const blobs = await removeOldOrphans(ports)
      if (blobs > 0) log.info({ blobs }, 'blobs that deletions left over were looked at')
    } catch (err) {
      log.warn({ err }, 'could not delete the blobs that deletions left over; retries within a minute')
    }
    if (timer !== undefined) plan()
  }
  const plan = () => {
    timer = setTimeout(() => void (turn = work()), pauseMs).unref()
  }
  return {
    start: plan,
    async stop(): Promise<void> {
      clearTimeout(timer)
      timer = undefined
      await turn
    },
  }
}
