import { randomUUID } from 'node:crypto'
import type { FastifyServerOptions } from 'fastify'
import { familyOf, toBlockList } from './networks.ts'

/** Request ids that are accepted from a proxy and written to the log. */
const REQUEST_ID = /^[A-Za-z0-9._-]{1,64}$/

/**
 * Fastify options for a server behind proxies at these addresses and CIDR ranges, separated by commas. Only the last
 * X-Forwarded-For entry of a trusted proxy counts: proxies append to the header, so a client can forge all entries
 * before. The X-Request-Id of a trusted proxy becomes the request id in the log.
 */
export function behindProxies(
  networks: string | undefined,
): Pick<FastifyServerOptions, 'trustProxy' | 'genReqId'> {
  if (networks === undefined) return { trustProxy: false, genReqId: () => randomUUID() }
  const list = toBlockList(networks.split(',').map((network) => network.trim()))
  const trusts = (address = '') => list.check(address, familyOf(address))
  return {
    trustProxy: (address, hop) => hop === 0 && trusts(address),
    genReqId({ headers: { 'x-request-id': id }, socket }) {
      const isGood = typeof id === 'string' && REQUEST_ID.test(id) && trusts(socket.remoteAddress)
      return isGood ? id : randomUUID()
    },
  }
}
