import { randomUUID } from 'node:crypto'
import type { Database } from '@registry-manager/database'
import { isDatabaseUnavailable } from '@registry-manager/database'
import type { PeriodicWork } from '@registry-manager/http'
import { isRegistryUnavailable } from '@registry-manager/registry-client'
import type { DeletePorts } from '../delete/index.ts'
import { createDeletion } from '../delete/index.ts'
import { createNamespaceRulesRepository } from '../namespace-rules-repository.ts'
import { IMAGE_MANAGER } from '../service-principal.ts'
import { createCandidatesRepository } from './candidates-repository.ts'
import type { RetentionRule } from './retention-rule.ts'
import { createRetentionRunsRepository } from './retention-runs-repository.ts'
import type { RetentionScheduleOptions } from './retention-schedule.ts'
import { createRetentionSchedule as createSchedule } from './retention-schedule.ts'
import type { RunRetentionPorts } from './run-retention.ts'

/** The repository objects of retention, under the names that use cases give to their ports. */
export function createRetentionRepositories(db: Database) {
  return {
    retentionRules: createNamespaceRulesRepository<RetentionRule>(db, {
      table: 'retention_rules',
      action: 'retention.update',
    }),
    candidates: createCandidatesRepository(db),
    retentionRuns: createRetentionRunsRepository(db, randomUUID()),
  }
}

type RetentionPorts = DeletePorts &
  Omit<RunRetentionPorts, 'deletion' | 'endsRun' | 'onFailure'> & {
    /** Number of days for which deleted manifests stay in the trash. */
    readonly trashDays: number
  }

/** The principal and the reason in the events of deletions. */
const RECORDING = { principal: IMAGE_MANAGER, reason: 'retention' }

/** The ports of a run that deletes as clients do. */
export function createRetentionPorts(
  ports: RetentionPorts,
  signal: AbortSignal,
): Omit<RunRetentionPorts, 'onFailure'> {
  const { deleteTag, deleteManifest } = createDeletion(ports, ports.trashDays)
  return {
    ...ports,
    deletion: {
      deleteTag: async (repository, tag) => (await deleteTag(repository, tag, RECORDING)).outcome,
      deleteManifest: async (repository, digest) =>
        (await deleteManifest(repository, digest, { unlessInUse: true }, RECORDING)).outcome,
    },
    endsRun: (error) => signal.aborted || isDatabaseUnavailable(error) || isRegistryUnavailable(error),
  }
}

/** Runs retention periodically, from `start` to `stop`. */
export function createRetentionSchedule({
  ports,
  ...options
}: Omit<RetentionScheduleOptions, 'createPorts'> & { readonly ports: RetentionPorts }): PeriodicWork {
  return createSchedule({
    ...options,
    createPorts: (signal) => createRetentionPorts(ports, signal),
  })
}

export { createManageRetention } from './manage-retention.ts'
