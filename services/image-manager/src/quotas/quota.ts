import type { FieldFault } from '@registry-manager/http'

/** The limits of a namespace. Null is no limit. */
export interface Quota {
  readonly bytes: number | null
  readonly repositories: number | null
  /** A push above this many bytes is reported, but not refused. */
  readonly softBytes: number | null
}

/** The usage of a namespace, and its quota. */
export interface NamespaceUsage {
  readonly namespace: string
  /** Bytes of manifests and of the blobs that they reference, each digest once. */
  readonly bytes: number
  readonly repositories: number
  /** Whether the first count, or a recount, is under way: until it ends `bytes` may be too small. */
  readonly counting: boolean
  readonly quota: Quota
}

/** The demand of a push on the quota of its namespace. */
export interface QuotaDemand {
  readonly usage: NamespaceUsage
  /** Bytes that the namespace does not have yet. */
  readonly neededBytes: number
  /** Whether the push creates its repository. */
  readonly isNewRepository: boolean
}

/** The limit that a push would exceed. */
export interface ExceededQuota {
  readonly namespace: string
  readonly resource: 'bytes' | 'repositories'
  readonly used: number
  readonly limit: number
  readonly needed: number
}

export const NO_QUOTA: Quota = { bytes: null, repositories: null, softBytes: null }

/** The first component of a repository's name. Undefined for a repository without a slash: it has no namespace. */
export function namespaceOf(repository: string): string | undefined {
  return repository.includes('/') ? repository.split('/', 1)[0] : undefined
}

/** The limit that a push exceeds; undefined if it exceeds none. A push without demand always fits. */
export function findExceeded({
  usage,
  neededBytes,
  isNewRepository,
}: QuotaDemand): ExceededQuota | undefined {
  const { namespace, bytes, repositories, quota } = usage
  if (isNewRepository && quota.repositories !== null && repositories >= quota.repositories)
    return { namespace, resource: 'repositories', used: repositories, limit: quota.repositories, needed: 1 }
  if (neededBytes > 0 && quota.bytes !== null && bytes + neededBytes > quota.bytes)
    return { namespace, resource: 'bytes', used: bytes, limit: quota.bytes, needed: neededBytes }
  return undefined
}

export function describeExceeded({ namespace, resource, used, limit, needed }: ExceededQuota): string {
  return (
    `the quota of ${namespace} is exceeded: it uses ${used} of ${limit} ${resource}, and this push needs ` +
    `${needed} more; delete images, or ask a cluster administrator for a larger quota`
  )
}

/** The fault of a quota that cannot be set; undefined if it can. */
export function quotaFault({ bytes, softBytes }: Quota): FieldFault | undefined {
  if (bytes === null || softBytes === null || softBytes <= bytes) return undefined
  return { field: 'softBytes', detail: `must not be greater than bytes (${bytes}), but is ${softBytes}` }
}
