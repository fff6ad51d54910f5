import type { Generated, JSONColumnType } from 'kysely'
import type { Nullable, Timestamp } from './index-tables.ts'

/** A group of users, which can have grants. */
export interface GroupsTable {
  id: Generated<string>
  /** In lower case; unique. */
  name: string
  created_at: Timestamp
}

/** A group of another source whose members are members of a group here. */
export interface GroupMappingsTable {
  group_id: string
  /** `directory`, or `provider:NAME`. */
  source: string
  /** The group's name in its source, in the form in which names are compared. */
  name: string
}

/** A reason why an account is a member of a group. An account may have several. */
export interface GroupMembersTable {
  group_id: string
  account_id: string
  /** `local`, or the source of a mapping. */
  source: string
  /** The name of the mapping; empty for `local`. */
  name: Generated<string>
}

/** A grant: the rights of an account or a group on the repositories of a pattern. */
export interface GrantsTable {
  id: Generated<string>
  /** The namespace whose owners manage the grant; `*` for the whole installation. */
  namespace: string
  /** Either this or `group_id`. */
  account_id: Nullable<string>
  group_id: Nullable<string>
  repositories: string
  /** Null if the grant lists actions instead. */
  role: Nullable<'reader' | 'developer' | 'maintainer' | 'owner'>
  /** Empty if the grant has a role. */
  actions: Generated<string[]>
  conditions: JSONColumnType<object | null, string | null | undefined, string | null>
  created_by: Nullable<string>
  created_at: Timestamp
}
