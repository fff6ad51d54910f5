import type { RecordEvents } from '@registry-manager/events'
import type { RequestPrincipal } from '@registry-manager/http'
import { NOBODY } from '../principals/principal.ts'
import type { RefusedRequest } from '../sign-in/require-principal.ts'
import type { RefusalCollector, RefusalCollectorPorts } from './refusal-collector.ts'
import { countedEvent, createRefusalCollector } from './refusal-collector.ts'

export interface RequestLogPorts extends Pick<RefusalCollectorPorts<unknown>, 'now' | 'onError' | 'context'> {
  readonly recordEvents: RecordEvents
}

interface Refusal extends Omit<RefusedRequest, 'principal' | 'address'> {
  /** Null after `generalize`. */
  readonly principal: RequestPrincipal | null
  readonly address: string | null
}

/**
 * Records changes that signed-in principals requested and may not make: one event for each account, address and route,
 * with their count, every few seconds. The path of an event is the route's: what the client sent in its place could be
 * anything.
 */
export function createRequestLog({
  recordEvents,
  ...ports
}: RequestLogPorts): RefusalCollector<RefusedRequest> {
  return createRefusalCollector<Refusal>({
    ...ports,
    generalize: (refusal) => ({ ...refusal, principal: null, address: null }),
    record: (counted) =>
      recordEvents(
        ...counted.map((one) => {
          const { principal, address, method, path } = one.refusal
          return {
            action: 'request',
            target: { kind: 'request', method, path },
            principal: principal ?? NOBODY,
            ...(address !== null && { address }),
            ...countedEvent(one, address === null ? 'flood' : undefined),
          } as const
        }),
      ),
  })
}
