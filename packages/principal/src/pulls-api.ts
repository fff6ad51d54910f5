import { DIGEST_PATTERN, MAX_NAME_LENGTH, TAG_PATTERN } from '@registry-manager/oci'
import { Type } from 'typebox'

const closed = { additionalProperties: false }

/**
 * `POST /internal/pulls` of image-manager: numbers of pulls of manifests through a registry-proxy. A batch that was
 * added before is not added again.
 */
export const PullBatch = Type.Object(
  {
    id: Type.String({ format: 'uuid' }),
    pulls: Type.Array(
      Type.Object(
        {
          repository: Type.String({ maxLength: MAX_NAME_LENGTH }),
          digest: Type.String({ pattern: DIGEST_PATTERN }),
          /** The tag that the clients named; absent if they named the digest. */
          tag: Type.Optional(Type.String({ pattern: TAG_PATTERN })),
          count: Type.Integer({ minimum: 1, maximum: 1_000_000_000 }),
          /** The time of the last of these pulls. */
          lastAt: Type.String({ format: 'date-time' }),
        },
        closed,
      ),
      { maxItems: 1000 },
    ),
  },
  closed,
)
export const PullBatchResponse = Type.Object({ known: Type.Literal(true) })
