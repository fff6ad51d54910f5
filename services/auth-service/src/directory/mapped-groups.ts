import type { DirectoryLog } from './directory.ts'

export interface MappedGroupsPorts {
  /** Normalised distinguished names of the group map. */
  readonly fixed: readonly string[]
  /** Reads the names of the directory's groups that mappings of our groups refer to. */
  load(): Promise<readonly string[]>
  /** Milliseconds since the epoch. */
  readonly now: () => number
  readonly log: DirectoryLog
}

/** A new mapping is noticed within this time. */
const FRESH_MS = 5000

/**
 * Returns a function that returns the names of the groups that searches look for: distinguished names, and common names
 * as `cn=NAME`. While they cannot be read the last ones stay in use.
 */
export function createMappedGroups({
  fixed,
  load,
  now,
  log,
}: MappedGroupsPorts): () => Promise<ReadonlySet<string>> {
  let names: ReadonlySet<string> = new Set(fixed)
  let readAt = -Infinity
  return async () => {
    if (now() - readAt < FRESH_MS) return names
    try {
      names = new Set([...fixed, ...(await load())])
      readAt = now()
    } catch (err) {
      log('warn', { err }, 'could not read the mapped groups; the last known groups stay in use')
    }
    return names
  }
}
