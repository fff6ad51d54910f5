import { randomUUID } from 'node:crypto'
import { setTimeout as sleep } from 'node:timers/promises'
import type { Database } from '@registry-manager/database'
import { isDatabaseUnavailable } from '@registry-manager/database'
import type { PeriodicWork, RequestPrincipal } from '@registry-manager/http'
import type { RegistryClient } from '@registry-manager/registry-client'
import {
  isRegistryOverloaded,
  isRegistryRefusal,
  isRegistryUnavailable,
} from '@registry-manager/registry-client'
import { createDeleteRepositories } from '../delete/index.ts'
import { createImmutabilityRepositories } from '../immutability/index.ts'
import { createIndexRepositories } from '../index/index.ts'
import { createPushRepositories } from '../push/index.ts'
import { createAdoptionRepository } from './adoption-repository.ts'
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
  /** Creates a client whose requests the signal aborts. Pulls from the named repositories share one token. */
  readonly createRegistry: (signal: AbortSignal, names: readonly string[]) => RegistryClient
  /** Number of groups of repositories that are reconciled, and of requests to the registry, at the same time. */
  readonly concurrency: number
  /** Maximum number of repositories of a group. */
  readonly groupSize?: number
  /** Waits for some milliseconds. Rejects when the signal is aborted. */
  readonly pause?: (ms: number, signal: AbortSignal) => Promise<unknown>
  /** Milliseconds since the epoch. */
  readonly now?: () => number
  /** The principal of the events; image-manager when left out. */
  readonly principal?: RequestPrincipal
}

/** More names in one token would cost the registry more time than they save. */
const GROUP_SIZE = 16

export function createReconcileRepositories(db: Database, principal?: RequestPrincipal) {
  return {
    adoption: createAdoptionRepository(db),
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
  concurrency,
  groupSize = GROUP_SIZE,
  pause = (ms, signal) => sleep(ms, undefined, { signal }),
  listener,
  now = Date.now,
  principal,
}: ReconcileOptions & { readonly listener: ReconcileListener }): Reconciler {
  return createReconciler({
    ...createIndexRepositories(db),
    ...createPushRepositories(db),
    ...createDeleteRepositories(db),
    ...createImmutabilityRepositories(db),
    ...createReconcileRepositories(db, principal),
    createRegistry,
    concurrency,
    groupSize,
    pause,
    isOverload: isRegistryOverloaded,
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
  concurrency,
  groupSize,
  now = Date.now,
  ...options
}: ReconcileOptions & Omit<ScheduleOptions, 'now'>): PeriodicWork {
  const reconciler = { db, createRegistry, concurrency, groupSize, now }
  return createSchedule((listener) => createDatabaseReconciler({ ...reconciler, listener }), {
    ...options,
    now,
  })
}
