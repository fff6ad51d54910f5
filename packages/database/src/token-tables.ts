import type { ColumnType, Generated, JSONColumnType } from 'kysely'
import type { Nullable, NullableTimestamp, Timestamp } from './index-tables.ts'

/** JSON; null for none. */
type ConditionsColumn<Update> = ColumnType<
  Readonly<Record<string, unknown>> | null,
  string | null | undefined,
  Update
>

/** The part of a registry token that a user account does not have. */
export interface RegistryTokensTable {
  account_id: string
  /** The name as given; the account's username is its lower case. */
  name: string
  /** Scopes; their names are repository patterns. */
  scopes: JSONColumnType<{ type: 'repository'; name: string; actions: string[] }[]>
  expires_at: NullableTimestamp
  conditions: ConditionsColumn<string | null>
  /** SHA-256 of the password. The password is random, so a fast hash is enough. */
  secret_hash: Buffer
  /** The password before the last rotation, while both are valid. */
  previous_secret_hash: Nullable<Buffer>
  previous_secret_until: NullableTimestamp
  created_by: string
  created_by_id: string
  modified_by: ColumnType<string | null, string | null | undefined, string>
  modified_by_id: ColumnType<string | null, string | null | undefined, string>
  modified_at: NullableTimestamp
  last_used_at: NullableTimestamp
  last_used_address: ColumnType<string | null, string | null | undefined, string>
}

/** A credential that a user has made for themselves. It acts for the account, within its scopes. */
export interface PersonalTokensTable {
  id: Generated<string>
  /** The owner. */
  account_id: string
  /** Unique for its owner, case-insensitively. */
  name: string
  /** Scopes; their names are repository patterns. Null: everything that the owner may do. */
  scopes: ColumnType<{ type: 'repository'; name: string; actions: string[] }[] | null, string | null, never>
  expires_at: NullableTimestamp
  conditions: ConditionsColumn<never>
  /** SHA-256 of the password; unique. */
  secret_hash: Buffer
  created_at: Timestamp
  last_used_at: NullableTimestamp
  last_used_address: Nullable<string>
}
