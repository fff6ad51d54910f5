import { randomUUID } from 'node:crypto'
import { BlockList, isIPv6 } from 'node:net'
import type { FastifyServerOptions } from 'fastify'

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
  const list = listOf(networks)
  const trusts = (address = '') => list.check(address, isIPv6(address) ? 'ipv6' : 'ipv4')
  return {
    trustProxy: (address, hop) => hop === 0 && trusts(address),
    genReqId({ headers: { 'x-request-id': id }, socket }) {
      const isGood = typeof id === 'string' && REQUEST_ID.test(id) && trusts(socket.remoteAddress)
      return isGood ? id : randomUUID()
    },
  }
}

function listOf(networks: string): BlockList {
  const list = new BlockList()
  for (const network of networks.split(',')) {
    const [address = '', prefix] = network.trim().split('/')
    const family = isIPv6(address) ? 'ipv6' : 'ipv4'
    if (prefix === undefined) list.addAddress(address, family)
    else list.addSubnet(address, Number(prefix), family)
  }
  return list
}
