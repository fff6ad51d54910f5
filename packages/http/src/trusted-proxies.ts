import { randomUUID } from 'node:crypto'
import { BlockList, isIPv6 } from 'node:net'
import type { FastifyServerOptions } from 'fastify'

/** What somebody else may write into our logs as a request's number. */
const REQUEST_ID = /^[A-Za-z0-9._-]{1,64}$/

/**
 * Fastify's options for a server behind proxies at these addresses and networks, separated by commas. One hop is
 * believed, the proxy's that is connected to us: proxies add to the X-Forwarded-For that they get, so what stands
 * before its last address is the client's to write. Such a proxy's X-Request-Id is the request's in the logs.
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
