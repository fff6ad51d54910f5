import type { ColumnType, Generated, GeneratedAlways, JSONColumnType } from 'kysely'
import type { Role } from '@registry-manager/principal'
import type { GrantsTable, GroupMappingsTable, GroupMembersTable, GroupsTable } from './access-tables.ts'
import type { PersonalTokensTable, RegistryTokensTable } from './token-tables.ts'
import type {
  Nullable,
  NullableTimestamp,
  Timestamp,
  RepositoriesTable,
  ManifestsTable,
  BlobAliasesTable,
  TagsTable,
  ManifestReferencesTable,
  AllManifestsTable,
  AllRepositoriesTable,
  PendingPushesTable,
  BackgroundFailuresTable,
  RepositoryBlobsTable,
  RequestedDeletionsTable,
  PendingRemovalsTable,
  EndedGlobalsTable,
  ReconciliationsTable,
  TagRulesTable,
  NamespaceUsageTable,
  NamespaceBlobsTable,
  TagHistoryTable,
} from './index-tables.ts'
import type { ManifestPullsTable, PullBatchesTable, TagPullsTable } from './pull-tables.ts'
import type { RetentionRulesTable, RetentionRunCountsTable, RetentionRunsTable } from './retention-tables.ts'
import type {
  CollectionListingsTable,
  CollectionTable,
  ReleasedDigestsTable,
  UnknownBlobsTable,
  UnreferencedBlobsTable,
} from './collection-tables.ts'
import type { TrashTable, TrashTagsTable } from './trash-tables.ts'
import type {
  BrowserSessionsTable,
  ProviderIdentitiesTable,
  ProviderSignInsTable,
  ProviderLogoutsTable,
  DeviceAuthorizationsTable,
} from './sign-in-tables.ts'

type DirectoryState = 'active' | 'disabled' | 'expired' | 'locked' | 'gone' | 'ambiguous'

/** The account of a user or a registry token. They share the table, so that a name belongs to one account only. */
export interface AccountsTable {
  id: Generated<string>
  kind: Generated<'user' | 'token'>
  /** In lower case; unique. */
  username: string
  /** Whether the directory verifies the password; then `password_hash` is null. */
  directory: boolean
  role: Role
  enabled: Generated<boolean>
  namespaces: ColumnType<string[], string[], string[]>
  /** The id of the OpenID Connect provider at which the user signs in; then `password_hash` is null. */
  provider: Nullable<string>
  /** argon2id, PHC string format; or bcrypt, until the first sign-in of an imported user. */
  password_hash: string | null
  /** Raised by every change that must revoke earlier tokens. */
  generation: Generated<number>
  /** The directory state of a directory user; null for others, and before the first lookup. */
  directory_dn: Nullable<string>
  directory_state: Nullable<DirectoryState>
  /** Rights that directory groups add to the account's own. */
  directory_role: Nullable<Role>
  directory_namespaces: ColumnType<string[], string[] | undefined, string[]>
  directory_checked_at: NullableTimestamp
  created_at: Timestamp
  updated_at: Timestamp
}

/** Identifies this installation; has one row. */
export interface InstallationTable {
  id: Generated<string>
  created_at: Timestamp
}

/** The lowest valid generation of an account's tokens; the row outlives the account. */
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
  /** The account's generation when the token was issued. */
  generation: number
  service: string
  client_id: string
  created_at: Timestamp
  used_at: Timestamp
}

/** Failed sign-ins of an account or from an address, as a leaky bucket. */
export interface SignInFailuresTable {
  /** HMAC-SHA-256 of the account or address. */
  key: Buffer
  /** When the last sign-in failed. */
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

/** The audit log. `packages/events` writes the rows, auth-service reads them for the audit API. */
export interface EventsTable {
  /** pg reads bigint as a string. */
  id: GeneratedAlways<string>
  time: Timestamp
  action: string
  outcome: string
  principal_kind: string
  principal_id: string | null
  principal_name: string | null
  /** The personal token that acted for the account; null for other principals. */
  principal_via: ColumnType<
    { readonly id: string; readonly name: string } | null,
    string | null | undefined,
    never
  >
  address: string | null
  request_id: string | null
  target: JSONColumnType<{ readonly kind: string; readonly name: string }>
  repository: string | null
  account_id: string | null
  account_name: string | null
  detail: JSONColumnType<Readonly<Record<string, unknown>>>
}

/** The keys that have signed access tokens, by their key id. */
export interface SigningKeysTable {
  id: string
  seen_at: Timestamp
}

/** A trust rule: tokens of another issuer that match it get its scopes in the namespace. */
export interface TrustRulesTable {
  id: Generated<string>
  namespace: string
  /** Unique in the namespace. */
  name: string
  /** `iss` of the tokens. */
  issuer: string
  /** `aud` of the tokens. */
  audience: string
  /** Patterns of claims, by the claims' names. */
  claims: JSONColumnType<Readonly<Record<string, string>>>
  /** Scopes; their names are repository patterns within the namespace. */
  scopes: JSONColumnType<{ type: 'repository'; name: string; actions: string[] }[]>
  /** JSON; empty for none. */
  conditions: ColumnType<Readonly<Record<string, unknown>>, string | undefined, string>
  /** A JSON Web Key Set; null for the keys that the issuer publishes. */
  jwks: ColumnType<{ readonly keys: readonly object[] } | null, string | null, string | null>
  /** Raised by every change that must revoke earlier access tokens. */
  generation: Generated<number>
  created_at: Timestamp
  created_by: string
  updated_at: Timestamp
}

export interface Schema {
  events: EventsTable
  signing_keys: SigningKeysTable
  accounts: AccountsTable
  registry_tokens: RegistryTokensTable
  personal_tokens: PersonalTokensTable
  trust_rules: TrustRulesTable
  installation: InstallationTable
  revocations: RevocationsTable
  refresh_tokens: RefreshTokensTable
  browser_sessions: BrowserSessionsTable
  provider_identities: ProviderIdentitiesTable
  provider_sign_ins: ProviderSignInsTable
  provider_logouts: ProviderLogoutsTable
  device_authorizations: DeviceAuthorizationsTable
  sign_in_failures: SignInFailuresTable
  known_addresses: KnownAddressesTable
  groups: GroupsTable
  group_mappings: GroupMappingsTable
  group_members: GroupMembersTable
  grants: GrantsTable
  all_repositories: AllRepositoriesTable
  /** A view of `all_repositories`. */
  repositories: RepositoriesTable
  all_manifests: AllManifestsTable
  /** A view of `all_manifests`. */
  manifests: ManifestsTable
  tags: TagsTable
  manifest_references: ManifestReferencesTable
  pending_pushes: PendingPushesTable
  blob_aliases: BlobAliasesTable
  repository_blobs: RepositoryBlobsTable
  pending_removals: PendingRemovalsTable
  requested_deletions: RequestedDeletionsTable
  ended_globals: EndedGlobalsTable
  reconciliations: ReconciliationsTable
  background_failures: BackgroundFailuresTable
  tag_rules: TagRulesTable
  namespace_usage: NamespaceUsageTable
  namespace_blobs: NamespaceBlobsTable
  tag_history: TagHistoryTable
  tag_pulls: TagPullsTable
  manifest_pulls: ManifestPullsTable
  pull_batches: PullBatchesTable
  retention_rules: RetentionRulesTable
  released_digests: ReleasedDigestsTable
  unreferenced_blobs: UnreferencedBlobsTable
  collection: CollectionTable
  collection_listings: CollectionListingsTable
  unknown_blobs: UnknownBlobsTable
  retention_runs: RetentionRunsTable
  retention_run_counts: RetentionRunCountsTable
  trash: TrashTable
  trash_tags: TrashTagsTable
}
