import type { Generated } from 'kysely'
import type { Nullable, NullableTimestamp, Timestamp } from './index-tables.ts'

/*
 * The tables of people's sign-ins with a browser, at providers and on devices.
 */

/** A session of a person who signed in with a browser. */
export interface BrowserSessionsTable {
  /** SHA-256 of the session cookie's value. */
  token_hash: Buffer
  account_id: string
  /** The account's generation when the session began. */
  generation: number
  created_at: Timestamp
  /** Written at most once a minute. */
  used_at: Timestamp
  expires_at: Timestamp
  /** The provider at which the person signed in, and its session (`sid`). */
  provider: Nullable<string>
  provider_session: Nullable<string>
}

/** The person at an OpenID Connect provider to whom an account belongs. */
export interface ProviderIdentitiesTable {
  issuer: string
  subject: string
  account_id: string
  created_at: Timestamp
}

/** A sign-in at a provider that has begun. */
export interface ProviderSignInsTable {
  /** SHA-256 of the state that was sent to the provider. */
  state_hash: Buffer
  /** SHA-256 of the secret in the browser's cookie. */
  browser_hash: Buffer
  provider: string
  nonce: string
  code_verifier: string
  return_to: string | null
  expires_at: Timestamp
}

/** A logout token that was used. */
export interface ProviderLogoutsTable {
  issuer: string
  jti: string
  expires_at: Timestamp
}

/** A device that waits until a person confirms its code. */
export interface DeviceAuthorizationsTable {
  /** SHA-256 of the device code. */
  device_code_hash: Buffer
  user_code: string
  client_name: string
  address: string
  status: Generated<'pending' | 'approved' | 'denied'>
  /** The account of the person who approved, and its generation. */
  account_id: Nullable<string>
  generation: Nullable<number>
  interval_seconds: number
  polled_at: NullableTimestamp
  expires_at: Timestamp
}
