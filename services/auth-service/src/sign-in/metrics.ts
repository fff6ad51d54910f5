import type { Metrics } from '@registry-manager/http'
import { Counter } from 'prom-client'
import type { SignInService } from './sign-in.ts'

/** Counts sign-ins by their outcome. No label contains a username or an address. */
export function countSignIns({ registry }: Metrics, service: SignInService): SignInService {
  const signIns = new Counter({
    name: 'sign_ins_total',
    help:
      'Sign-ins by outcome (account, token for a registry token, personal-token, workload, refused, throttled, ' +
      'unavailable) ' +
      'and by credential (password, refresh-token)',
    labelNames: ['outcome', 'by'] as const,
    registers: [registry],
  })
  return {
    ...service,
    async withPassword(...credentials) {
      const result = await service.withPassword(...credentials)
      signIns.inc({ outcome: result.outcome, by: 'password' })
      return result
    },
    async withRefreshToken(...credentials) {
      const result = await service.withRefreshToken(...credentials)
      signIns.inc({ outcome: result.outcome, by: 'refresh-token' })
      return result
    },
  }
}
