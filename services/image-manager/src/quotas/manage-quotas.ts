import type { FieldFault } from '@registry-manager/http'
import type { StorageUsage } from '../contents/storage-usage.ts'
import type { NamespaceUsage, Quota } from './quota.ts'
import { NO_QUOTA, quotaFault } from './quota.ts'

export interface ManageQuotasPorts {
  readonly quotas: {
    findUsage(namespace: string): Promise<NamespaceUsage>
    listLargest(
      limit: number,
    ): Promise<{ readonly largest: readonly NamespaceUsage[]; readonly repositories: number }>
    setQuota(namespace: string, quota: Quota): Promise<NamespaceUsage>
    requestRecount(namespace: string): Promise<void>
  }
  readonly storageUsage: (onError: (error: unknown) => void) => Promise<StorageUsage>
}

/** The usage of all namespaces together. */
export interface TotalUsage extends Omit<NamespaceUsage, 'bytes'> {
  /** Null until the first count has ended. */
  readonly bytes: number | null
  /** The namespaces that use most bytes. */
  readonly largest: readonly NamespaceUsage[]
}

export interface ManageQuotas {
  findUsage(namespace: string): Promise<NamespaceUsage>
  /** `onError` gets the error of a failed count: the previous figure is returned then. */
  findTotalUsage(onError: (error: unknown) => void): Promise<TotalUsage>
  /** Sets the limits of a namespace. A limit that is left out is removed. */
  setQuota(
    namespace: string,
    limits: Partial<Quota>,
  ): Promise<{ readonly quota: Quota } | { readonly fault: FieldFault }>
  /** Starts a recount of a namespace's usage, and returns the usage. */
  recount(namespace: string): Promise<NamespaceUsage>
}

/** The name of all namespaces together. */
export const ALL_NAMESPACES = '*'
/** The number of namespaces that the total usage lists. */
const LARGEST = 50

/** Reads and changes the quotas of namespaces, and reads their usage. */
export function createManageQuotas({ quotas, storageUsage }: ManageQuotasPorts): ManageQuotas {
  return {
    findUsage: quotas.findUsage,
    async findTotalUsage(onError) {
      const { bytes } = await storageUsage(onError)
      const total = await quotas.listLargest(LARGEST)
      return { namespace: ALL_NAMESPACES, bytes, counting: bytes === null, quota: NO_QUOTA, ...total }
    },
    async setQuota(namespace, limits) {
      const quota = { ...NO_QUOTA, ...limits }
      const fault = quotaFault(quota)
      if (fault !== undefined) return { fault }
      return quotas.setQuota(namespace, quota)
    },
    async recount(namespace) {
      await quotas.requestRecount(namespace)
      return quotas.findUsage(namespace)
    },
  }
}
