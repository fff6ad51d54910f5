import type { BlockList } from 'node:net'
import { isIP } from 'node:net'
import { familyOf, isNetwork, toBlockList } from '@registry-manager/http'
import { LRUCache } from 'lru-cache'

/** Conditions under which a grant, a token or a trust rule counts. A condition that is left out always holds. */
export interface Conditions {
  /** CIDR ranges or single addresses. The client's address must be in one of them. */
  readonly networks?: readonly string[]
  /** RFC 3339. */
  readonly notBefore?: string
  /** RFC 3339. */
  readonly notAfter?: string
  /** A pattern of the tags that may be pushed, such as `v*`. It limits nothing but pushes. */
  readonly tags?: string
}

/** The client and the time that conditions are compared with. */
export interface ConditionContext {
  /** The client's IP address. Undefined if it is not known: no network contains an unknown address. */
  readonly address: string | undefined
  /** Milliseconds since the epoch. */
  readonly now: number
}

/** The condition that does not hold, and a sentence that names it. */
export interface ConditionFault {
  readonly condition: 'networks' | 'notBefore' | 'notAfter'
  readonly detail: string
}

/**
 * The first condition that does not hold; undefined if all hold. A tag pattern is not compared here: it concerns the
 * push of a manifest by its tag only.
 */
export function conditionFault(
  { networks, notBefore, notAfter }: Conditions,
  { address, now }: ConditionContext,
): ConditionFault | undefined {
  if (notBefore !== undefined && now < Date.parse(notBefore)) {
    return { condition: 'notBefore', detail: `it applies from ${notBefore} on` }
  }
  if (notAfter !== undefined && now >= Date.parse(notAfter)) {
    return { condition: 'notAfter', detail: `it ended at ${notAfter}` }
  }
  if (networks !== undefined && !isInNetworks(networks, address)) {
    return { condition: 'networks', detail: `it applies to clients in ${networks.join(', ')} only` }
  }
  return undefined
}

const lists = new LRUCache<string, BlockList>({ max: 1000 })

/** Whether one of the networks contains an address. An IPv4-mapped IPv6 address counts as its IPv4 address. */
export function isInNetworks(networks: readonly string[], address: string | undefined): boolean {
  // Without the zone of a link-local address. Source: RFC 4007 §11.
  const [plain = ''] = (address ?? '').split('%')
  if (isIP(plain) === 0) return false
  const key = networks.join()
  const list = lists.get(key) ?? toBlockList(networks.filter(isNetwork))
  lists.set(key, list)
  return list.check(plain, familyOf(plain))
}

/**
 * The intersection of two lists of networks. Two networks are disjoint, or one contains the other. Empty if no client
 * is in both lists.
 */
export function intersectNetworks(ones: readonly string[], others: readonly string[]): string[] {
  const inner = (networks: readonly string[], outer: readonly string[]) =>
    networks.filter((network) => outer.some((other) => isWithinNetwork(network, other)))
  return [...new Set([...inner(ones, others), ...inner(others, ones)])].toSorted()
}

/** Whether one network contains another. An IPv4 network and an IPv6 network never contain each other. */
function isWithinNetwork(inner: string, outer: string): boolean {
  const [one, other] = [parseNetwork(inner), parseNetwork(outer)]
  if (isIP(one.address) !== isIP(other.address) || one.prefix < other.prefix) return false
  return isInNetworks([outer], one.address)
}

function parseNetwork(network: string): { readonly address: string; readonly prefix: number } {
  const [address = '', prefix] = network.split('/')
  return { address, prefix: prefix === undefined ? 128 : Number(prefix) }
}
