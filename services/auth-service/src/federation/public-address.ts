import ipaddr from 'ipaddr.js'

/** The IPv6 addresses that are assigned to the public internet. Source: RFC 4291 §2.4; IANA, "IPv6 Address Space". */
const GLOBAL_IPV6: [ipaddr.IPv6, number] = [ipaddr.IPv6.parse('2000::'), 3]

/**
 * Whether an IP address belongs to the public internet: not private, loopback, link-local, multicast, reserved or
 * otherwise special. An IPv6 address that contains an IPv4 address (mapped, NAT64, 6to4, Teredo) is special.
 * Source: RFC 6890.
 */
export function isPublicAddress(address: string): boolean {
  if (!ipaddr.isValid(address)) return false
  const parsed = ipaddr.parse(address)
  if (parsed.range() !== 'unicast') return false
  return parsed instanceof ipaddr.IPv4 || parsed.match(GLOBAL_IPV6)
}
