import type { EffectiveGrant } from '@registry-manager/principal'
import { ACTIONS_OF_ROLE } from '@registry-manager/principal'
import { sql } from 'kysely'

/**
 * Selects, beside a row of `accounts`, the grants that count for it: its own and those of its groups. Costs two index
 * lookups if the account has no grants.
 */
export const effectiveGrants = sql<readonly EffectiveGrant[]>`(
  select coalesce(json_agg(json_strip_nulls(json_build_object(
    'id', held.id, 'repositories', held.repositories, 'role', held.role, 'actions', held.actions,
    'conditions', held.conditions, 'group', held.group_name)) order by held.id), '[]')
  from (
    select grants.*, null as group_name from grants where grants.account_id = accounts.id
    union all
    select grants.*, groups.name from grants
    join groups on groups.id = grants.group_id
    where grants.group_id in (
      select group_id from group_members where group_members.account_id = accounts.id)
  ) held)`.as('grants')

/** Replaces each role by the actions that this version of the code gives to it. */
export function toEffectiveGrants(rows: readonly EffectiveGrant[]): EffectiveGrant[] {
  return rows.map((row) => (row.role === undefined ? row : { ...row, actions: ACTIONS_OF_ROLE[row.role] }))
}
