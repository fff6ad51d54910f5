import type { ColumnType, Generated, JSONColumnType } from 'kysely'
import type { Nullable, NullableTimestamp, Timestamp } from './column-types.ts'
import type {
  RepositoriesTable,
  ManifestsTable,
  BlobAliasesTable,
  TagsTable,
  ManifestReferencesTable,
  AdmissionsTable,
  BackgroundFailuresTable,
  RepositoryBlobsTable,
  PendingRemovalsTable,
  EndedGlobalsTable,
  ReconciliationsTable,
} from './index-tables.ts'

type Role = 'cluster-administrator' | 'administrator' | 'user'
type DirectoryState = 'active' | 'disabled' | 'expired' | 'locked' | 'gone' | 'ambiguous'

/** A person's account, or a registry token's: they share the table, so that one name is one account. */
export interface AccountsTable {
  id: Generated<string>
  kind: Generated<'user' | 'token'>
  username: string // lower-cased; unique
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
  directory_dn: Nullable<string>
  directory_state: Nullable<DirectoryState>
  /** What its groups give, on top of the account's own. */
  directory_role: Nullable<Role>
  directory_namespaces: ColumnType<string[], string[] | undefined, string[]>
  directory_checked_at: NullableTimestamp
  created_at: Timestamp
  updated_at: Timestamp
}

/** What a registry token is beyond its account. */
export interface RegistryTokensTable {
  account_id: string
  /** As it was given; the account's username is its lower case. */
  name: string
  /** Scopes whose names are patterns of repositories. */
  scopes: JSONColumnType<{ type: 'repository'; name: string; actions: string[] }[]>
  expires_at: NullableTimestamp
  /** SHA-256 of the password: it is random, so a fast hash is enough. */
  secret_hash: Buffer
  /** The password before the last rotation, while both work. */
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

/** This installation: one row. */
export interface InstallationTable {
  id: Generated<string>
  created_at: Timestamp
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

/** Failed sign-ins of an account or from an address, as a bucket that empties by itself. */
export interface SignInFailuresTable {
  /** HMAC-SHA-256 of what is counted. */
  key: Buffer
  /** When the last one was. */
  failed_at: Timestamp
  /** When the bucket is empty again; the row is deleted after that. */
  clears_at: Timestamp
}

/** An address (for IPv6 a /64 network) from which an account has signed in. */
export interface KnownAddressesTable {
  account_id: string
  address: string
  /** Written at most once a day. */
  seen_at: Timestamp
}

export interface Schema {
  accounts: AccountsTable
  registry_tokens: RegistryTokensTable
  installation: InstallationTable
  revocations: RevocationsTable
  refresh_tokens: RefreshTokensTable
  sign_in_failures: SignInFailuresTable
  known_addresses: KnownAddressesTable
  repositories: RepositoriesTable
  manifests: ManifestsTable
  tags: TagsTable
  manifest_references: ManifestReferencesTable
  admissions: AdmissionsTable
  blob_aliases: BlobAliasesTable
  repository_blobs: RepositoryBlobsTable
  pending_removals: PendingRemovalsTable
  ended_globals: EndedGlobalsTable
  reconciliations: ReconciliationsTable
  background_failures: BackgroundFailuresTable
}
