import type { ServiceClient } from '@registry-manager/http'
import { ServiceCallError, createSemaphore, undefinedIfNotFound } from '@registry-manager/http'
import type { Reference } from '@registry-manager/oci'
import {
  AnnounceResponse,
  AnnouncedBlobResponse,
  BlobAliasResponse,
  ManifestDescriptions,
  ManifestResponse,
  NamesPage,
  RecordResponse,
  ReferrersResponse,
  PullBatchResponse,
  DeletionResponse,
} from '@registry-manager/principal'
import type { RightsQuery } from '@registry-manager/principal'
import type { Static } from 'typebox'
import type { PullBatch } from './count-pulls.ts'
import type { DescribeManifests } from './describe-manifest.ts'
import type { AnnouncedBlob } from './upstream-request.ts'
import { toQuery } from './upstream-request.ts'

/** The part of a list that a client requests. */
export interface PageQuery {
  readonly n?: number
  readonly last?: string
}

/** image-manager's internal API. Every method throws ServiceCallError when image-manager is unavailable. */
export interface IndexClient {
  /** The catalog of an account, of a personal token that acts for it, or of a workload. */
  catalog(reader: RightsQuery, page: PageQuery): Promise<Static<typeof NamesPage>>
  /** Undefined if there is no such repository. */
  tags(repository: string, page: PageQuery): Promise<Static<typeof NamesPage> | undefined>
  /** One page of referrers, beginning after the digest `last`. */
  referrers(
    repository: string,
    digest: string,
    page: { readonly artifactType?: string; readonly last?: string },
  ): Promise<Static<typeof ReferrersResponse>>
  /** Undefined if the index has no such manifest. */
  findManifest(repository: string, reference: Reference): Promise<IndexedManifest | undefined>
  readonly describeManifests: DescribeManifests
  /**
   * `deleted`: whether the manifest or tag existed. `inUseBy` names an image index that prevents the deletion,
   * `immutable` an immutable tag that does.
   */
  deleteManifest(repository: string, reference: Reference, force?: boolean): Promise<DeletionOutcome>
  /** Announces a blob that is about to be uploaded or mounted. */
  announceBlob(blob: AnnouncedBlob): Promise<void>
  /** `deleted`: whether the blob existed under any of its digests. `immutable` names a tag that needs it. */
  deleteBlob(repository: string, digest: string): Promise<DeletionOutcome>
  /** Records the sha512 digest of a blob that was pushed by it. */
  aliasBlob(alias: { repository: string; sha512: string; sha256: string }): Promise<void>
  /** Announces a manifest before the registry gets it. */
  announceManifest(
    repository: string,
    reference: Reference,
    type: string,
    manifest: Buffer,
    uid: string,
  ): Promise<AnnouncedManifest>
  /**
   * Has image-manager record the outcome of a pending push. Undefined if it was recorded before, because an earlier
   * response was lost: the outcome is then unknown.
   */
  recordPush(id: string): Promise<Static<typeof RecordResponse> | undefined>
  /** Removes a pending push that the registry did not accept. */
  discardPush(id: string): Promise<void>
  /** Adds counts of pulls. A batch that image-manager has is not added again. */
  addPulls(batch: PullBatch): Promise<void>
}

/** The outcome of a deletion. */
export type DeletionOutcome = Static<typeof DeletionResponse>

export interface IndexedManifest {
  readonly digest: string
  readonly mediaType: string
  /** Only the index has this manifest. The registry cannot store it. */
  readonly indexOnly: boolean
  readonly bytes: Buffer
}

export type AnnouncedManifest =
  /** The registry gets the manifest, by this digest. */
  | { readonly outcome: 'announced'; readonly id: string; readonly digest: string }
  /** The index stored the manifest. The registry cannot. */
  | { readonly outcome: 'index-only'; readonly digest: string; readonly subject: string | null }
  | Extract<Static<typeof AnnounceResponse>, { outcome: 'refused' }>

/**
 * Clients of image-manager, each with its own connections: many slow deletions must not delay lists and the ends of
 * uploads.
 */
export interface IndexServiceClients {
  /** For calls that need the database only: lists, lookups, and records of blobs. */
  readonly queries: ServiceClient
  /** For pushes of manifests and for deletions: image-manager waits for the registry. */
  readonly changes: ServiceClient
}

export const CHANGE_TIMEOUT_MS = 60_000
/**
 * Longer than image-manager's statement timeout, so that image-manager responds first and names the database as
 * unavailable.
 */
export const QUERY_TIMEOUT_MS = 10_000

/**
 * Maximum numbers of manifests that are fetched at the same time, and that wait. A manifest of 4 MiB arrives as JSON
 * and needs about 16 MiB while it is parsed. Most lookups find nothing and take milliseconds, so many may wait.
 */
const LOOKUPS = { concurrent: 8, waiting: 2000, waitMs: 30_000 }

export function createIndexClient({ queries, changes }: IndexServiceClients): IndexClient {
  const lookups = createSemaphore(LOOKUPS.concurrent, {
    maxWaiting: LOOKUPS.waiting,
    onFull: tooManyLookups,
  })
  return {
    catalog: ({ uid, via, rules }, { n, last }) => {
      const query = toQuery({ uid, via, rules: rules?.join(), n, last })
      return queries.get(`/internal/catalog?${query}`, NamesPage)
    },

    async tags(repository, { n, last }) {
      const path = `/internal/tags?${toQuery({ repository, n, last })}`
      return undefinedIfNotFound(queries.get(path, NamesPage))
    },

    referrers: (repository, digest, { artifactType, last }) => {
      const path = `/internal/referrers?${toQuery({ repository, digest, artifactType, last })}`
      return queries.get(path, ReferrersResponse)
    },

    async findManifest(repository, reference) {
      const path = `/internal/manifests?${toQuery({ repository, reference: formatReference(reference) })}`
      const lookUp = async () => {
        const found = await undefinedIfNotFound(queries.get(path, ManifestResponse))
        if (found === undefined) return undefined
        const { digest, mediaType, kept, raw } = found
        return { digest, mediaType, indexOnly: kept, bytes: Buffer.from(raw, 'base64') }
      }
      const deadline = performance.now() + LOOKUPS.waitMs
      return lookups.run(lookUp, { deadline, onLate: tooManyLookups })
    },

    async describeManifests(named) {
      const body = {
        manifests: named.map(({ repository, reference }) => ({
          repository,
          reference: formatReference(reference),
        })),
      }
      const { found } = await queries.post('/internal/manifest-descriptions', body, ManifestDescriptions)
      const byPosition = new Map(found.map((described) => [described.position, described]))
      return named.map((_, position) => byPosition.get(position))
    },

    deleteManifest: (repository, reference, force) => {
      const query = toQuery({
        repository,
        reference: formatReference(reference),
        force: force ? 'true' : undefined,
      })
      return changes.delete(`/internal/manifests?${query}`, DeletionResponse)
    },

    async announceBlob(blob) {
      // 404: during an upgrade, an older image-manager does not have this endpoint.
      await undefinedIfNotFound(queries.post('/internal/announced-blobs', blob, AnnouncedBlobResponse))
    },

    deleteBlob(repository, digest) {
      const path = `/internal/blobs?${toQuery({ repository, digest })}`
      return changes.delete(path, DeletionResponse)
    },

    async aliasBlob(alias) {
      await queries.post('/internal/blob-aliases', alias, BlobAliasResponse)
    },

    async announceManifest(repository, reference, type, manifest, uid) {
      const query = toQuery({ repository, reference: formatReference(reference), type, account: uid })
      const announced = await changes.postBytes(`/internal/admissions?${query}`, manifest, AnnounceResponse)
      switch (announced.outcome) {
        case 'admitted':
          return { ...announced, outcome: 'announced' }
        case 'kept':
          return { ...announced, outcome: 'index-only' }
        case 'refused':
          return announced
      }
    },

    async recordPush(id) {
      return undefinedIfNotFound(changes.post(`/internal/admissions/${id}/record`, {}, RecordResponse))
    },

    async discardPush(id) {
      await changes.delete(`/internal/admissions/${id}`, DeletionResponse)
    },

    async addPulls(batch) {
      await queries.post('/internal/pulls', batch, PullBatchResponse)
    },
  }
}

function tooManyLookups(): ServiceCallError {
  const detail = 'too many manifests are being looked up at the same time; retry in a second'
  return new ServiceCallError(detail, {
    dependency: 'image-manager',
    status: 429,
    detail,
    retryAfterSeconds: 1,
  })
}

function formatReference(reference: Reference): string {
  return 'tag' in reference ? reference.tag : reference.digest
}
