import { BASIC_OR_BEARER, problemResponses } from '@registry-manager/http'
import { DIGEST_PATTERN } from '@registry-manager/oci'
import { Type } from 'typebox'
import { STATES } from './status.ts'

/* The schemas of the collection of unreferenced data. */

const count = (description: string) => Type.Number({ minimum: 0, description })
const time = (description: string) => Type.Union([Type.String(), Type.Null()], { description })
const amount = (description: string) =>
  Type.Object({ blobs: count('Number of blobs.'), bytes: count('Bytes of their data.') }, { description })

const blobsPerSecond = Type.Union([Type.Number({ exclusiveMinimum: 0, maximum: 1_000_000 }), Type.Null()], {
  description: 'Maximum number of blobs that are removed per second; null: 1,000 by each storage worker.',
  examples: [500],
})
const paused = Type.Boolean({
  description: 'True: the garbage collection condemns and removes no blobs.',
  examples: [false],
})

export const CollectionInput = Type.Object(
  { paused: Type.Optional(paused), blobsPerSecond: Type.Optional(blobsPerSecond) },
  {
    additionalProperties: false,
    description: 'A missing field gets its default: not paused, null.',
    examples: [{ paused: false, blobsPerSecond: 500 }],
  },
)

const Listing = Type.Object({
  beganAt: Type.String(),
  endedAt: Type.String(),
  stored: amount('All blobs of the storage: the sum of the next four fields.'),
  known: amount('Blobs that the index or a link in the storage names.'),
  condemned: amount('Blobs that nothing references any more. They are waiting, condemned, or being removed.'),
  recent: amount('Blobs that neither the index nor a link names, younger than the grace period.'),
  unknown: amount('Blobs that neither the index nor a link names, older than the grace period.'),
  uploads: Type.Object(
    { count: count('Number of uploads.'), bytes: count('Bytes of their data.') },
    { description: 'Unfinished uploads, which the registry removes after a day.' },
  ),
})

const Status = Type.Object(
  {
    state: Type.Enum([...STATES], {
      description:
        '`waiting-for-reconcile`: the garbage collection starts after a reconcile run without failures.',
    }),
    paused,
    blobsPerSecond,
    reviewedAt: time('When blobs were last reviewed.'),
    waiting: count('Blobs in their grace period: their last reference was deleted.'),
    condemned: count('Blobs that a storage worker may remove.'),
    removing: count('Blobs that a storage worker is removing.'),
    oldestCondemned: time('When the last reference to the oldest condemned blob was deleted.'),
    removed: Type.Object(
      {
        blobs: count('Number of blobs.'),
        bytes: count('Bytes of their data, as far as the sizes are known.'),
        failures: count('Number of failed removals.'),
        lastAt: time('When data was last removed.'),
      },
      { description: 'Totals of the removed data since the installation.' },
    ),
    failing: Type.Array(
      Type.Object({
        digest: Type.String(),
        reason: Type.String(),
        failures: count('Number of failed attempts.'),
      }),
      { description: 'Failed removals that are retried, at most 10.' },
    ),
    unresolvedUploads: count('Uploads by sha512 in progress: no data is removed until they end.'),
    listing: Type.Union([Listing, Type.Null()], { description: 'The last complete listing of the storage.' }),
  },
  { description: 'The state of the collection.' },
)

const Unknown = Type.Object(
  {
    items: Type.Array(
      Type.Object({ digest: Type.String(), bytes: count('Its size.'), modifiedAt: Type.String() }),
    ),
    next: Type.Union([Type.String(), Type.Null()], {
      description: 'The value of `after` for the next page; null on the last page.',
    }),
  },
  { description: 'A page of unknown blobs.' },
)
const PageQuery = Type.Object({
  limit: Type.Optional(
    Type.Integer({ minimum: 1, maximum: 1000, default: 100, description: 'Length of a page.' }),
  ),
  after: Type.Optional(Type.String({ pattern: DIGEST_PATTERN, description: '`next` of the previous page.' })),
})

const common = { tags: ['storage'], security: BASIC_OR_BEARER }
const ADMINISTRATORS = 'For cluster administrators, with a password or an identity token.'
const FAULTS = [400, 401, 403, 429, 503] as const

export const COLLECTION_SCHEMAS = {
  getStatus: {
    ...common,
    operationId: 'getCollection',
    summary: 'Get the state of the garbage collection',
    description: ADMINISTRATORS,
    response: { 200: Status, ...problemResponses(...FAULTS) },
  },
  putSettings: {
    ...common,
    operationId: 'setCollection',
    summary: 'Pause, resume or slow down the garbage collection',
    description: `${ADMINISTRATORS} A pause does not stop the removal of data that a storage worker has already claimed.`,
    body: CollectionInput,
    response: { 200: Status, ...problemResponses(...FAULTS, 413, 415) },
  },
  listUnknown: {
    ...common,
    operationId: 'listUnknownBlobs',
    summary: 'List unknown blobs of the storage',
    description: ADMINISTRATORS,
    querystring: PageQuery,
    response: { 200: Unknown, ...problemResponses(...FAULTS) },
  },
}
