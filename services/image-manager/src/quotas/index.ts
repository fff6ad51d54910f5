import type { Database } from '@registry-manager/database'
import type { PeriodicWork } from '@registry-manager/http'
import { createPeriodicWork } from '@registry-manager/http'
import type { FastifyBaseLogger } from 'fastify'
import type { Push } from '../push/push.ts'
import { announceWithinQuota } from './announce-within-quota.ts'
import { countUsage } from './count-usage.ts'
import { createQuotasRepository } from './quotas-repository.ts'
import { createUsageCountsRepository } from './usage-counts-repository.ts'

/** The SQLSTATE with which the triggers refuse a push (`2026-12-06-quotas`). */
const QUOTA_EXCEEDED = 'RM001'

/** The repository object of quotas, and a function that adds the check of quotas to pushes. */
export function createQuotas(db: Database) {
  const quotas = createQuotasRepository(db)
  const isQuotaExceeded = (error: unknown) => (error as { code?: string } | null)?.code === QUOTA_EXCEEDED
  return {
    quotas,
    withinQuota: (push: Push): Push => ({
      ...push,
      announce: (pushed) => announceWithinQuota({ quotas, isQuotaExceeded }, pushed, push.announce),
    }),
  }
}

const COUNT_MS = 10_000

/** Runs `countUsage` periodically, from `start` to `stop`. */
export function createCountSchedule(
  db: Database,
  log: Pick<FastifyBaseLogger, 'info' | 'warn'>,
): PeriodicWork {
  const usageCounts = createUsageCountsRepository(db)
  return createPeriodicWork({
    everyMs: COUNT_MS,
    work: async (signal) => {
      const namespaces = await countUsage({ usageCounts }, signal)
      if (namespaces > 0) log.info({ namespaces }, 'the usage of namespaces was counted')
    },
    onError: (err) =>
      log.warn({ err }, 'could not count the usage of namespaces; will resume within some seconds'),
  })
}
