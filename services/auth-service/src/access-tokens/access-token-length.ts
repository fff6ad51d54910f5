import type { Access } from '@registry-manager/oci'

/**
 * Maximum length of an access token, in characters. nginx buffers 16 KiB of one header (large_client_header_buffers)
 * and the services behind it accept as much; the rest is room for the header's name and scheme.
 */
export const MAX_ACCESS_TOKEN_LENGTH = 12 * 1024

/**
 * Returns the first entries that fit into an access token. `emptyLength` is the length of the same token with an empty
 * list. A server may grant less than was requested: RFC 6749 §3.3.
 */
export function fitAccess(access: readonly Access[], emptyLength: number): Access[] {
  // Base64 writes 3 bytes as 4 characters (RFC 4648 §4) and rounds up by less than 4 characters.
  let room = Math.floor(((MAX_ACCESS_TOKEN_LENGTH - emptyLength - 4) * 3) / 4)
  const fitting: Access[] = []
  for (const entry of access) {
    room -= Buffer.byteLength(JSON.stringify(entry)) + 1
    if (room < 0) break
    fitting.push(entry)
  }
  return fitting
}
