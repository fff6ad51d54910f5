import { DIGEST_PATTERN } from '@registry-manager/oci'
import { Type } from 'typebox'

/*
 * Schemas of the internal API between image-manager, which decides which data of the registry is removed, and the
 * storage worker, which removes it and lists the storage. Times are RFC 3339.
 */

const closed = { additionalProperties: false }

/** The largest number of digests in a claim, and of entries in a page of a listing. */
export const COLLECTION_BATCH = 1000

const Digest = Type.String({ pattern: DIGEST_PATTERN })
const Bytes = Type.Integer({ minimum: 0 })
const WorkerName = Type.String({ minLength: 1, maxLength: 200 })

/** The body of a 204 response. */
export const NoContent = Type.Undefined()

/** `POST /internal/collection/claims`: the name of the worker, and the number of digests that it can remove. */
export const ClaimRequest = Type.Object(
  { worker: WorkerName, limit: Type.Integer({ minimum: 1, maximum: COLLECTION_BATCH }) },
  closed,
)

/**
 * Digests whose data the worker removes within `seconds` after it sent the request, and never later. No id and no
 * digests: there is nothing to remove now. The worker removes at most `blobsPerSecond`; null or left out: its default.
 */
export const ClaimResponse = Type.Object({
  id: Type.Union([Type.String(), Type.Null()]),
  digests: Type.Array(Digest, { maxItems: COLLECTION_BATCH }),
  seconds: Type.Number({ minimum: 0 }),
  blobsPerSecond: Type.Optional(Type.Union([Type.Number({ exclusiveMinimum: 0 }), Type.Null()])),
})

/**
 * `POST /internal/collection/claims/{id}/results`. `bytes` is null if the storage had no data, or does not tell its
 * size. A failed digest was not removed and will not be. The outcome of any other digest of the claim is unknown until
 * the claim ends.
 */
export const ClaimResults = Type.Object(
  {
    removed: Type.Array(Type.Object({ digest: Digest, bytes: Type.Union([Bytes, Type.Null()]) }, closed), {
      maxItems: COLLECTION_BATCH,
    }),
    failed: Type.Array(Type.Object({ digest: Digest, reason: Type.String({ maxLength: 500 }) }, closed), {
      maxItems: COLLECTION_BATCH,
    }),
  },
  closed,
)

/** `POST /internal/collection/listings`: the worker offers to list the storage. */
export const ListingRequest = Type.Object({ worker: WorkerName }, closed)

/** No id: no listing is due, or another worker makes it. */
export const ListingResponse = Type.Object({ id: Type.Union([Type.String(), Type.Null()]) })

/** `POST /internal/collection/listings/{id}/pages`: a part of the listing, blobs before links. */
export const ListingPage = Type.Object(
  {
    blobs: Type.Optional(
      Type.Array(
        Type.Object(
          { digest: Digest, bytes: Bytes, modifiedAt: Type.String({ format: 'date-time' }) },
          closed,
        ),
        { maxItems: COLLECTION_BATCH },
      ),
    ),
    /** Digests that a link of a repository names. */
    links: Type.Optional(Type.Array(Digest, { maxItems: COLLECTION_BATCH })),
  },
  closed,
)

/** `POST /internal/collection/listings/{id}/end`: the listing is complete. */
export const ListingEnd = Type.Object(
  { uploads: Type.Object({ count: Type.Integer({ minimum: 0 }), bytes: Bytes }, closed) },
  closed,
)
