import { randomUUID } from 'node:crypto'
import type { Database } from '@registry-manager/database'
import { isDatabaseUnavailable } from '@registry-manager/database'
import type { PeriodicWork, RequestPrincipal } from '@registry-manager/http'
import type { RegistryClient } from '@registry-manager/registry-client'
import { isRegistryRefusal, isRegistryUnavailable } from '@registry-manager/registry-client'
import { createDeleteRepositories } from '../delete/index.ts'
import { createIndexRepositories } from '../index/index.ts'
import { createPushRepositories } from '../push/index.ts'
import { createComparisonRepository } from './comparison-repository.ts'
import { createFailuresRepository } from './failures-repository.ts'
import type { Reconciler, ReconcileListener } from './run.ts'
import { createReconciler } from './run.ts'
import { createRunsRepository } from './runs-repository.ts'
import type { ScheduleOptions } from './schedule.ts'
import { createSchedule } from './schedule.ts'
import { createUnfinishedWorkRepository } from './unfinished-work-repository.ts'

export interface ReconcileOptions {
  readonly db: Database
  /** Creates a client whose requests the signal aborts. */
  readonly createRegistry: (signal: AbortSignal) => RegistryClient
  /** Milliseconds since the epoch. */
  readonly now?: () => number
  /** Who reconciles, for events; image-manager when left out. */
  readonly principal?: RequestPrincipal
}

export function createReconcileRepositories(db: Database, principal?: RequestPrincipal) {
  return {
    comparison: createComparisonRepository(db),
    failures: createFailuresRepository(db),
    unfinishedWork: createUnfinishedWorkRepository(db),
    runs: createRunsRepository(db, randomUUID(), principal),
  }
}

/** A reconciler that works directly on a database. Each one holds the leases of its runs under its own id. */
export function createDatabaseReconciler({
  db,
  createRegistry,
  listener,
  now = Date.now,
  principal,
}: ReconcileOptions & { readonly listener: ReconcileListener }): Reconciler {
  return createReconciler({
    ...createIndexRepositories(db),
    ...createPushRepositories(db),
    ...createDeleteRepositories(db),
    ...createReconcileRepositories(db, principal),
    createRegistry,
    isRefusal: isRegistryRefusal,
    isUnavailable: (error) => isDatabaseUnavailable(error) || isRegistryUnavailable(error),
    listener,
    now,
  })
}

/** Reconciles periodically, from `start` to `stop`. */
export function createReconcileSchedule({
  db,
  createRegistry,
  now = Date.now,
  ...options
}: ReconcileOptions & Omit<ScheduleOptions, 'now'>): PeriodicWork {
  return createSchedule((listener) => createDatabaseReconciler({ db, createRegistry, listener, now }), {
    ...options,
    now,
  })
}
