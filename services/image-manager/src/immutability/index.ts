import type { Database } from '@registry-manager/database'
import { createTagRulesRepository } from './tag-rules-repository.ts'

/** The repository objects of immutable tags, under the names that use cases give to their ports. */
export function createImmutabilityRepositories(db: Database) {
  return { tagRules: createTagRulesRepository(db) }
}

export { createManageTagRules } from './manage-tag-rules.ts'
