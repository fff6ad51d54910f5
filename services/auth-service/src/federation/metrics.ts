import type { Metrics } from '@registry-manager/http'
import { Counter } from 'prom-client'

/** Counts requests for the keys of issuers. No label names an issuer: namespace owners choose them. */
export function countKeyRequests({ registry }: Metrics): (outcome: 'read' | 'failed') => void {
  const requests = new Counter({
    name: 'issuer_key_requests_total',
    help: 'Requests for the public keys of token issuers that trust rules name, by outcome (read, failed)',
    labelNames: ['outcome'] as const,
    registers: [registry],
  })
  for (const outcome of ['read', 'failed']) requests.inc({ outcome }, 0)
  return (outcome) => requests.inc({ outcome })
}
