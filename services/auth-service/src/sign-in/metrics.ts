import type { Metrics } from '@registry-manager/http'
import { Counter } from 'prom-client'
import type { SignInService } from './sign-in.ts'

/** Counts sign-ins by how they end. No metric has a name or an address in it. */
export function countSignIns({ registry }: Metrics, service: SignInService): SignInService {
  const signIns = new Counter({
    name: 'sign_ins_total',
    help: 'Sign-ins by how they ended: account, token, refused, throttled or unavailable',
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
