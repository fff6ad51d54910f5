import type { Metrics } from '@registry-manager/http'
import { Counter, Gauge } from 'prom-client'
import type { DirectorySignInResult } from './directory-sign-in.ts'

export type DirectoryOperation = 'connect' | 'service_bind' | 'root_dse' | 'search' | 'bind'
/** `refused`: the directory answered, and said no. `failed`: it did not answer. */
export type OperationOutcome = 'ok' | 'refused' | 'failed'

export interface DirectoryMetrics {
  operation(operation: DirectoryOperation, outcome: OperationOutcome): void
  signIn(result: DirectorySignInResult): void
  rechecked(outcome: 'same' | 'changed' | 'failed'): void
}

/** What the directory is asked, and how that ends. No metric has a name of anybody in it. */
export function createDirectoryMetrics({ registry }: Metrics, isUp: () => boolean): DirectoryMetrics {
  const registers = [registry]
  const operations = new Counter({
    name: 'directory_operations_total',
    help: 'Operations on the directory, by what they were and how they ended',
    labelNames: ['operation', 'outcome'],
    registers,
  })
  const signIns = new Counter({
    name: 'directory_sign_ins_total',
    help: 'Passwords of directory accounts that were verified; cached ones did not ask the directory',
    labelNames: ['result'],
    registers,
  })
  const rechecks = new Counter({
    name: 'directory_rechecked_accounts_total',
    help: 'Accounts whose standing was read again',
    labelNames: ['outcome'],
    registers,
  })
  const up = new Gauge<never>({
    name: 'directory_up',
    help: 'Whether at least one server of the directory is asked: 1 or 0',
    registers: [],
    collect() {
      this.set(isUp() ? 1 : 0)
    },
  })
  registry.registerMetric(up)
  return {
    operation: (operation, outcome) => operations.inc({ operation, outcome }),
    signIn: (result) => signIns.inc({ result }),
    rechecked: (outcome) => rechecks.inc({ outcome }),
  }
}
