import type { Access } from '@registry-manager/oci'

/**
 * A token is at most this many characters long, so that every part takes the header that holds it: nginx, whose buffers
 * for one header are 16 KiB (large_client_header_buffers), and the services behind it.
 */
export const MAX_TOKEN_LENGTH = 12 * 1024

/**
 * As many entries from the beginning as fit into a token. `emptyLength` is the length of the same token with an empty
 * list. A server may grant less than was asked for: RFC 6749 §3.3.
 */
export function fitting(access: readonly Access[], emptyLength: number): Access[] {
  // Base64 writes 3 bytes as 4 characters: RFC 4648 §4. What it rounds up is less than 4 characters.
  let room = Math.floor(((MAX_TOKEN_LENGTH - emptyLength - 4) * 3) / 4)
  const kept: Access[] = []
  for (const entry of access) {
    room -= Buffer.byteLength(JSON.stringify(entry)) + 1
    if (room < 0) break
    kept.push(entry)
  }
  return kept
}
