import type { Metrics } from '@registry-manager/http'
import { Counter, Gauge } from 'prom-client'
import type { DirectorySignInResult } from './directory-sign-in.ts'

export type DirectoryOperation = 'connect' | 'service_bind' | 'root_dse' | 'search' | 'bind'
/** `refused`: the directory returned an error. `failed`: it did not respond. */
export type OperationOutcome = 'ok' | 'refused' | 'failed'

export interface DirectoryMetrics {
  operation(operation: DirectoryOperation, outcome: OperationOutcome): void
  signIn(result: DirectorySignInResult): void
  refreshed(outcome: 'same' | 'changed' | 'failed'): void
}

/** Metrics of the directory. No label contains a username. */
export function createDirectoryMetrics({ registry }: Metrics, isUp: () => boolean): DirectoryMetrics {
  const registers = [registry]
  const operations = new Counter({
    name: 'directory_operations_total',
    help: 'LDAP operations by kind and outcome',
    labelNames: ['operation', 'outcome'],
    registers,
  })
  const signIns = new Counter({
    name: 'directory_sign_ins_total',
    help: 'Passwords of directory users by result; cached means without a directory request',
    labelNames: ['result'],
    registers,
  })
  const rechecks = new Counter({
    name: 'directory_rechecked_accounts_total',
    help: 'Periodic reads of the directory state of accounts, by outcome',
    labelNames: ['outcome'],
    registers,
  })
  const up = new Gauge<never>({
    name: 'directory_up',
    help: '1 if at least one directory server is in use, 0 if none is',
    registers: [],
    collect() {
      this.set(isUp() ? 1 : 0)
    },
  })
  registry.registerMetric(up)
  return {
    operation: (operation, outcome) => operations.inc({ operation, outcome }),
    signIn: (result) => signIns.inc({ result }),
    refreshed: (outcome) => rechecks.inc({ outcome }),
  }
}
