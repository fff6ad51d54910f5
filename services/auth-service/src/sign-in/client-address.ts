import { isIPv4 } from 'node:net'
import ipaddr from 'ipaddr.js'

/** An internet provider gives a customer a /64 network at least. Source: RFC 6177; RFC 7934. */
const NETWORK_GROUPS = 4

/**
 * The network by which failed sign-ins of a client are counted: an IPv4 address, or the /64 network of an IPv6 address.
 * An IPv4-mapped address (RFC 4291 §2.5.5.2) is its IPv4 address. A string that is not an address is returned
 * unchanged.
 */
export function clientNetwork(address: string): string {
  // Its only form: Node accepts no leading zeros.
  if (isIPv4(address)) return address
  if (!ipaddr.isValid(address)) return address.slice(0, 64)
  const parsed = ipaddr.process(address)
  if (parsed instanceof ipaddr.IPv4) return parsed.toString()
  const groups = parsed.parts.slice(0, NETWORK_GROUPS).map((group) => group.toString(16))
  return `${groups.join(':')}::/64`
}
