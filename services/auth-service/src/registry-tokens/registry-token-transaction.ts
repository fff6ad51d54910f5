import type { RecordEvents } from '@registry-manager/events'
import type {
  ManagedRegistryToken,
  PrincipalName,
  StoredRegistryToken,
} from '../principals/registry-token.ts'
import type { RegistryTokenChange, RegistryTokenPlan } from './plan-registry-token.ts'

export interface NewRegistryTokenRow extends RegistryTokenPlan {
  readonly secretHash: Buffer
  readonly createdBy: PrincipalName
  /** A new id when left out. */
  readonly id?: string | undefined
  /** The first generation when left out. */
  readonly generation?: number | undefined
}

export interface RegistryTokenUpdate {
  readonly change: RegistryTokenChange
  readonly generation: number
  readonly by: PrincipalName
  readonly at: Date
  /** Replaces the password. `previous` is the old password with the end of its overlap; null for none. */
  readonly secret?: {
    readonly hash: Buffer
    readonly previous: { readonly hash: Buffer; readonly until: Date } | null
  }
}

/** The repositories of one transaction. */
export interface RegistryTokenTransaction {
  readonly registryTokens: {
    /** Locks the registry token until the transaction ends. */
    lock(id: string): Promise<StoredRegistryToken | undefined>
    findById(id: string): Promise<ManagedRegistryToken | undefined>
    insert(row: NewRegistryTokenRow): Promise<string>
    update(id: string, update: RegistryTokenUpdate): Promise<void>
  }
  readonly accounts: {
    revoke(id: string, lowestGeneration: number): Promise<void>
    /** The lowest valid generation of an id that was revoked before. */
    lowestGeneration(id: string): Promise<number | undefined>
    delete(id: string): Promise<void>
  }
  readonly recordEvents: RecordEvents
}
