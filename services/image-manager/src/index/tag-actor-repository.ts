import type { RequestPrincipal } from '@registry-manager/http'
import { currentRequestContext } from '@registry-manager/http'
import type { RawBuilder } from 'kysely'
import { sql } from 'kysely'
import { IMAGE_MANAGER } from '../service-principal.ts'

/**
 * A condition that always holds. Its evaluation stores the principal of the change, by default that of the current
 * request, until the end of the transaction. A trigger writes this principal into the history of tags (migration
 * 2026-12-07-tag-history).
 */
export function byActor(principal?: RequestPrincipal | null): RawBuilder<boolean> {
  const context = currentRequestContext()
  const actor = principal ?? (context === undefined ? IMAGE_MANAGER : context.principal)
  return sql<boolean>`set_config('registry_manager.actor', ${JSON.stringify(actor)}, true) is not null`
}
