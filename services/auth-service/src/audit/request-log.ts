import type { RecordEvents } from '@registry-manager/events'
import type { RequestPrincipal } from '@registry-manager/http'
import { ANONYMOUS } from '../principals/principal.ts'
import { clientNetwork } from '../sign-in/client-address.ts'
import type { RefusedRequest } from '../sign-in/require-principal.ts'
import type { RefusalCollector, RefusalCollectorPorts } from './refusal-collector.ts'
import { countedEvent, createRefusalCollector } from './refusal-collector.ts'

export interface RequestLogPorts extends Pick<RefusalCollectorPorts<unknown>, 'now' | 'onError' | 'context'> {
  readonly recordEvents: RecordEvents
}

interface Refusal extends Omit<RefusedRequest, 'principal' | 'address'> {
  /** Null if there were too many different accounts to record each. */
  readonly principal: RequestPrincipal | null
  /** Made by `clientNetwork`; null if there were too many different ones to record each. */
  readonly address: string | null
}

/**
 * Records changes that signed-in principals requested and may not make: one event for each account, network and route,
 * with their count, every few seconds. In a flood the address is dropped before the account, because the account is
 * certain. The path of an event is the route's pattern: the path that the client sent may contain anything.
 */
export function createRequestLog({
  recordEvents,
  ...ports
}: RequestLogPorts): RefusalCollector<RefusedRequest> {
  const { note, ...collector } = createRefusalCollector<Refusal>({
    ...ports,
    sourceOf: ({ principal }) => principal?.id ?? '',
    generalize: (refusal) => ({ ...refusal, address: null }),
    anonymize: (refusal) => ({ ...refusal, principal: null }),
    record: (counted) =>
      recordEvents(
        ...counted.map((one) => {
          const { principal, address, method, path } = one.refusal
          return {
            action: 'request',
            target: { kind: 'request', method, path },
            principal: principal ?? ANONYMOUS,
            ...(address !== null && { address }),
            ...countedEvent(one, address === null ? 'flood' : undefined),
          } as const
        }),
      ),
  })
  return {
    ...collector,
    note: (refused) => note({ ...refused, address: clientNetwork(refused.address) }),
  }
}
