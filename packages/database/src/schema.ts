import type { ColumnType, Generated } from 'kysely'

type Timestamp = ColumnType<Date, Date | string | undefined, Date | string>

/** A person's account. Registry tokens will share the table, so that one name is one account. */
export interface AccountsTable {
  id: Generated<string>
  /** Lower-cased; unique. */
  username: string
  /** Whether the password is the directory's: then there is none here. */
  directory: boolean
  role: 'cluster-administrator' | 'administrator' | 'user'
  enabled: Generated<boolean>
  namespaces: ColumnType<string[], string[], string[]>
  /** argon2id, PHC string format. */
  password_hash: string | null
  /** Raised by every change that must end what was issued before it. */
  generation: Generated<number>
  created_at: Timestamp
  updated_at: Timestamp
}

/** The least generation that an account's tokens must have; outlives the account. */
export interface RevocationsTable {
  account_id: string
  least_generation: number
  revoked_at: Timestamp
}

export interface RefreshTokensTable {
  id: Generated<string>
  /** SHA-256 of the token. */
  token_hash: Buffer
  account_id: string
  /** The account's generation when the token was made. */
  generation: number
  service: string
  client_id: string
  created_at: Timestamp
  used_at: Timestamp
}

export interface Schema {
  accounts: AccountsTable
  revocations: RevocationsTable
  refresh_tokens: RefreshTokensTable
}
