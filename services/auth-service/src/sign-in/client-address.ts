import ipaddr from 'ipaddr.js'

/** The part of an IPv6 address that a customer is given. Source: RFC 6177; RFC 7934. */
const NETWORK_GROUPS = 4

/**
 * What failed sign-ins of a client are counted by: an IPv4 address, or an IPv6 client's /64 network, of which every
 * customer has at least one. An IPv4-mapped address (RFC 4291 §2.5.5.2) is its IPv4 address. What is no address stands
 * for itself.
 */
export function clientNetwork(address: string): string {
  if (!ipaddr.isValid(address)) return address.slice(0, 64)
  const parsed = ipaddr.process(address)
  if (parsed instanceof ipaddr.IPv4) return parsed.toString()
  const groups = parsed.parts.slice(0, NETWORK_GROUPS).map((group) => group.toString(16))
  return `${groups.join(':')}::/64`
}
