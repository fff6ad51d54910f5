import type { RepositoryAction } from '@registry-manager/oci'
import type { Conditions, EffectiveGrant, GrantRole } from '@registry-manager/principal'
import { ACTIONS_OF_ROLE } from '@registry-manager/principal'
import { sql } from 'kysely'

/** A grant as `effectiveGrants` selects it. */
export interface GrantRow {
  readonly id: string
  readonly repositories: string
  readonly role?: GrantRole
  readonly actions: readonly RepositoryAction[]
  readonly conditions?: Conditions
  readonly group?: string
}

/**
 * Selects, beside a row of `accounts`, the grants that count for it: its own and those of its groups. One index lookup
 * each where it has none.
 */
export const effectiveGrants = sql<readonly GrantRow[]>`(
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

/** The actions of a role are those that this version gives it. */
export function toEffectiveGrants(rows: readonly GrantRow[]): EffectiveGrant[] {
  return rows.map((row) => (row.role === undefined ? row : { ...row, actions: ACTIONS_OF_ROLE[row.role] }))
}
