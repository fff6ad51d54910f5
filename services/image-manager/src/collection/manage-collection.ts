import type { CollectionOptions, CollectionState, StoredStatus } from './status.ts'
import { stateOf } from './status.ts'

/** The settings that operators change while the service runs. */
export interface CollectionSettings {
  readonly paused: boolean
  readonly blobsPerSecond: number | null
}

export interface UnknownBlob {
  readonly digest: string
  readonly bytes: number
  readonly modifiedAt: Date
}

export interface ManageCollectionPorts {
  readonly collectionStatus: {
    findStatus(): Promise<StoredStatus>
    /** One page of the unknown blobs that the last listing has found, by digest. */
    listUnknown(after: string, limit: number): Promise<readonly UnknownBlob[]>
    /** Stores the settings. Records an event if a value changes. */
    setSettings(settings: CollectionSettings): Promise<void>
  }
}

export type CollectionStatus = Omit<StoredStatus, 'isReconciled'> & { readonly state: CollectionState }

export interface ManageCollection {
  findStatus(): Promise<CollectionStatus>
  /** Changes the settings. A setting that is left out gets its default. */
  setSettings(settings: Partial<CollectionSettings>): Promise<CollectionStatus>
  /** `next`: the digest after which the next page starts; null after the last page. */
  listUnknown(page: {
    readonly after?: string
    readonly limit?: number
  }): Promise<{ readonly items: readonly UnknownBlob[]; readonly next: string | null }>
}

const DEFAULTS: CollectionSettings = { paused: false, blobsPerSecond: null }
const DEFAULT_PAGE = 100

/** The garbage collection, for operators. */
export function createManageCollection(
  { collectionStatus }: ManageCollectionPorts,
  options: CollectionOptions,
): ManageCollection {
  const findStatus = async () => {
    const { isReconciled, ...status } = await collectionStatus.findStatus()
    return { state: stateOf({ ...status, isReconciled }, options), ...status }
  }

  return {
    findStatus,
    async setSettings(settings) {
      await collectionStatus.setSettings({ ...DEFAULTS, ...settings })
      return findStatus()
    },
    async listUnknown({ after = '', limit = DEFAULT_PAGE }) {
      const items = await collectionStatus.listUnknown(after, limit)
      return { items, next: items.length < limit ? null : (items.at(-1)?.digest ?? null) }
    },
  }
}
