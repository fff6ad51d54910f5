import type { Access } from '@registry-manager/oci'
import { permittedByScopes } from '@registry-manager/oci'

/**
 * Keeps of the access that was granted to the owner of a personal token what the personal token's scopes permit as
 * well. The catalog stays: it lists only what the personal token may pull.
 */
export function withinScopes(granted: readonly Access[], scopes: readonly Access[]): Access[] {
  return granted
    .map((entry) => {
      if (entry.type !== 'repository') return entry
      const permitted: readonly string[] = permittedByScopes(scopes, entry.name)
      return { ...entry, actions: entry.actions.filter((action) => permitted.includes(action)) }
    })
    .filter(({ actions }) => actions.length > 0)
}
