import type { EventDetail } from '@registry-manager/events'
import type { RequestPrincipal } from '@registry-manager/http'
import { RESERVED_COMPONENT } from '@registry-manager/oci'

/** A deleted manifest or repository. */
export interface TrashEntry {
  readonly id: string
  /** The repository that the manifest was deleted from, or the deleted repository. */
  readonly repository: string
  readonly repositoryId: string
  readonly kind: 'manifest' | 'repository'
  /** The deleted manifest; null for a repository. */
  readonly digest: string | null
}

/** The repository that holds the manifests of an entry. Its name is reserved, so no principal can name it. */
export function trashRepository({ id }: Pick<TrashEntry, 'id'>): string {
  return `${RESERVED_COMPONENT}/${id}`
}

/** An entry as lists show it. */
export interface ListedEntry extends TrashEntry {
  /** Grows with time. */
  readonly number: string
  /** The first of the tags that it had. */
  readonly tags: readonly string[]
  readonly deletedAt: Date
  readonly deletedBy: RequestPrincipal | null
  readonly expiresAt: Date
}

export interface TrashPage {
  readonly limit: number
  /** The page starts after the entry with this number; the newest entry comes first. */
  readonly before?: string | undefined
}

/** The reason why an entry is being emptied, for its event. */
export interface TrashEnd {
  readonly action: 'trash.restore' | 'trash.purge'
  readonly detail?: EventDetail
  readonly principal?: RequestPrincipal
}
