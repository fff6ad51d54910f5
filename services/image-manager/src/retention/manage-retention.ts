import type { FieldFault } from '@registry-manager/http'
import type { DryRunPage, DryRunPorts, DryRunRequest } from './dry-run.ts'
import { dryRun } from './dry-run.ts'
import type { ListRunsPorts, ListedRun } from './list-runs.ts'
import { listRuns } from './list-runs.ts'
import type { RetentionRule } from './retention-rule.ts'
import { findRetentionFault } from './retention-rule.ts'

export type ManageRetentionPorts = DryRunPorts &
  ListRunsPorts & {
    readonly retentionRules: {
      getRules(namespace: string): Promise<readonly RetentionRule[]>
      replaceRules(namespace: string, rules: readonly RetentionRule[]): Promise<void>
    }
  }

export interface ManageRetention {
  get(namespace: string): Promise<readonly RetentionRule[]>
  /** Replaces all rules of a namespace. Returns the fault of an invalid list; then nothing changes. */
  replace(
    namespace: string,
    rules: readonly RetentionRule[],
  ): Promise<{ readonly fault: FieldFault } | undefined>
  /** Returns the decisions that retention would make. Returns the fault of invalid rules. */
  dryRun(request: DryRunRequest): Promise<DryRunPage | { readonly fault: FieldFault }>
  /** The newest runs, with their counts of one namespace. */
  listRuns(namespace: string): Promise<readonly ListedRun[]>
}

/** Reads, replaces and tries the rules of retention of a namespace. */
export function createManageRetention(ports: ManageRetentionPorts): ManageRetention {
  const { retentionRules } = ports
  return {
    get: (namespace) => retentionRules.getRules(namespace),
    async replace(namespace, rules) {
      const fault = findRetentionFault(namespace, rules)
      if (fault !== undefined) return { fault }
      await retentionRules.replaceRules(namespace, rules)
      return undefined
    },
    listRuns: (namespace) => listRuns(ports, namespace),
    async dryRun(request) {
      const fault = findRetentionFault(request.namespace, request.rules ?? [])
      return fault === undefined ? dryRun(ports, request) : { fault }
    },
  }
}
