import type { ColumnType, Generated, JSONColumnType } from 'kysely'

type Timestamp = ColumnType<Date, Date | string | undefined, Date | string>

type Role = 'cluster-administrator' | 'administrator' | 'user'
type DirectoryState = 'active' | 'disabled' | 'expired' | 'locked' | 'gone' | 'ambiguous'

/** A person's account. Registry tokens will share the table, so that one name is one account. */
export interface AccountsTable {
  id: Generated<string>
  /** Lower-cased; unique. */
  username: string
  /** Whether the password is the directory's: then there is none here. */
  directory: boolean
  role: Role
  enabled: Generated<boolean>
  namespaces: ColumnType<string[], string[], string[]>
  /** argon2id, PHC string format. */
  password_hash: string | null
  /** Raised by every change that must end what was issued before it. */
  generation: Generated<number>
  /** What the directory said of a directory account; null for others, and where it was not asked. */
  directory_dn: ColumnType<string | null, string | null | undefined, string | null>
  directory_state: ColumnType<DirectoryState | null, DirectoryState | null | undefined, DirectoryState | null>
  /** What its groups give, on top of the account's own. */
  directory_role: ColumnType<Role | null, Role | null | undefined, Role | null>
  directory_namespaces: ColumnType<string[], string[] | undefined, string[]>
  directory_checked_at: ColumnType<Date | null, Date | null | undefined, Date | null>
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

export interface RepositoriesTable {
  id: Generated<string>
  name: string
  scope: Generated<'namespace' | 'global'>
  /** Set while it is being deleted. */
  deleting_since: ColumnType<Date | null, Date | null | undefined, Date | null>
  created_at: Timestamp
  updated_at: Timestamp
}

export interface ManifestsTable {
  repository_id: string
  digest: string
  media_type: string
  artifact_type: string | null
  subject: string | null
  annotations: JSONColumnType<Record<string, string>> | null
  /** As it was pushed. */
  raw: Buffer
  pushed_at: Timestamp
}

export interface TagsTable {
  repository_id: string
  name: string
  digest: string
  /** Raised by every change. */
  revision: Generated<number>
  updated_at: Timestamp
}

/** What a manifest names. */
export interface ManifestReferencesTable {
  repository_id: string
  manifest_digest: string
  digest: string
  kind: 'config' | 'layer' | 'manifest'
}

/** A manifest on its way to the registry. */
export interface AdmissionsTable {
  id: Generated<string>
  repository: string
  digest: string
  tag: string | null
  media_type: string
  raw: Buffer
  admitted_at: Timestamp
}

export interface Schema {
  accounts: AccountsTable
  revocations: RevocationsTable
  refresh_tokens: RefreshTokensTable
  repositories: RepositoriesTable
  manifests: ManifestsTable
  tags: TagsTable
  manifest_references: ManifestReferencesTable
  admissions: AdmissionsTable
}
