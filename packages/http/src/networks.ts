import { BlockList, isIP, isIPv6 } from 'node:net'

/**
 * Whether a string is an address, or a CIDR range such as `10.0.0.0/8`. Zones such as `fe80::1%eth0` are refused:
 * BlockList ignores them. Source: RFC 4632 §3.1; RFC 4291 §2.3.
 */
export function isNetwork(text: string): boolean {
  const [, address = '', prefix] = /^([0-9A-Fa-f.:]+)(?:\/(\d{1,3}))?$/.exec(text) ?? []
  const version = isIP(address)
  return version !== 0 && (prefix === undefined || Number(prefix) <= (version === 4 ? 32 : 128))
}

/** The addresses in any of the networks. Each must be one that `isNetwork` accepts. */
export function toBlockList(networks: readonly string[]): BlockList {
  const list = new BlockList()
  for (const network of networks) {
    const [address = '', prefix] = network.split('/')
    if (prefix === undefined) list.addAddress(address, familyOf(address))
    else list.addSubnet(address, Number(prefix), familyOf(address))
  }
  return list
}

/** The family of an address, as BlockList names it. */
export function familyOf(address: string): 'ipv4' | 'ipv6' {
  return isIPv6(address) ? 'ipv6' : 'ipv4'
}
