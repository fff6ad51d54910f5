import type { Access } from '@registry-manager/oci'
import type { Principal } from '@registry-manager/principal'

/** The least living generation of a repository that ceased to be global; 0 for others. Undefined if not loaded yet. */
export type LeastGeneration = (repository: number) => number | undefined

/**
 * A principal without the access that their token was granted because a repository was global, where it has ceased to be
 * since: it was made private, deleted, or emptied. Undefined if that is not known.
 */
export function withoutEndedGlobals(
  principal: Principal,
  leastGeneration: LeastGeneration,
): Principal | undefined {
  const { access } = principal
  if (access === null || access.every(({ global }) => global === undefined)) return principal
  const left: Access[] = []
  for (const entry of access) {
    if (entry.global !== undefined) {
      const [repository, generation] = entry.global
      const least = leastGeneration(repository)
      if (least === undefined) return undefined
      if (generation < least) continue
    }
    left.push(entry)
  }
  return { ...principal, access: left }
}
