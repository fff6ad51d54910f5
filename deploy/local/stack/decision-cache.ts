import { createHash } from 'node:crypto'
import { mkdirSync, rmSync, statfsSync } from 'node:fs'
import { join } from 'node:path'
import { userInfo } from 'node:os'

/** A folder in memory on Linux. */
const SHARED_MEMORY = '/dev/shm'
/** The type of tmpfs. Source: linux/magic.h, TMPFS_MAGIC. */
const TMPFS = 0x01021994

export interface DecisionCache {
  /** nginx's variables. */
  readonly variables: { readonly DECISION_CACHE: 'decisions' | 'off'; readonly DECISION_CACHE_DIR: string }
  remove(): void
}

/**
 * Prepares the folder of nginx's decision cache. Its files contain access tokens, so it is in memory, and only this
 * user may read it. Where there is no such folder, nginx stores no decisions; it still creates the fallback folder,
 * which stays empty.
 */
export function prepareDecisionCache(dataDir: string, fallback: string): DecisionCache {
  if (!isInMemory(SHARED_MEMORY)) {
    return { variables: { DECISION_CACHE: 'off', DECISION_CACHE_DIR: fallback }, remove: () => {} }
  }
  const id = createHash('sha256').update(dataDir).digest('hex').slice(0, 16)
  const folder = join(SHARED_MEMORY, `registry-manager-${userInfo().uid}-${id}`)
  const remove = () => rmSync(folder, { recursive: true, force: true })
  // A process that was killed leaves its folder behind. mkdir fails if somebody else owns a folder of this name.
  remove()
  mkdirSync(folder, { mode: 0o700 })
  return { variables: { DECISION_CACHE: 'decisions', DECISION_CACHE_DIR: folder }, remove }
}

function isInMemory(folder: string): boolean {
  try {
    return statfsSync(folder).type === TMPFS
  } catch {
    return false
  }
}
