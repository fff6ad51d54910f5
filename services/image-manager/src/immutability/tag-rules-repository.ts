import type { Database } from '@registry-manager/database'
import { createNamespaceRulesRepository } from '../namespace-rules-repository.ts'
import type { TagRule } from './tag-rule.ts'

/** The rules for immutable tags. */
export function createTagRulesRepository(db: Database) {
  return createNamespaceRulesRepository<TagRule>(db, {
    table: 'tag_rules',
    action: 'immutability.update',
  })
}
