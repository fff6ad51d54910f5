import type { GlobalMark } from '@registry-manager/oci'

/**
 * The longest life of an access token, in seconds, with a reserve: `TOKEN_TTL_SECONDS` is at most an hour. A token that
 * was granted because a repository was global must be refused for that long after the repository became private.
 */
export const LONGEST_TOKEN_SECONDS = 2 * 3600

export interface GlobalScopePorts {
  readonly globalScope: {
    findGlobalMarks(names: readonly string[]): Promise<Record<string, GlobalMark>>
    listEndedGlobalScopes(withinSeconds: number): Promise<Record<string, number>>
  }
}

export interface GlobalScope {
  /** The marks of those of the repositories that are global, by name. */
  findMarks(names: readonly string[]): Promise<Record<string, GlobalMark>>
  /** The lowest valid generation of each repository that recently stopped being global, by number. */
  listEnded(): Promise<Record<string, number>>
}

export function createGlobalScope({ globalScope }: GlobalScopePorts): GlobalScope {
  return {
    findMarks: (names) => globalScope.findGlobalMarks(names),
    listEnded: () => globalScope.listEndedGlobalScopes(LONGEST_TOKEN_SECONDS),
  }
}
