import { BASIC_OR_BEARER, problemResponses } from '@registry-manager/http'
import { COMPONENT_PATTERN, MAX_NAME_LENGTH, NOT_RESERVED_PATTERN } from '@registry-manager/oci'
import { Type } from 'typebox'

/* The schemas of quotas and usage. */

/** The greatest number that JSON clients represent exactly. */
const MAX = Number.MAX_SAFE_INTEGER
const limit = (description: string, examples: number[]) =>
  Type.Union([Type.Integer({ minimum: 0, maximum: MAX }), Type.Null()], { description, examples })

const quotaFields = {
  bytes: limit('Maximum number of bytes that the namespace uses; null for no limit.', [50_000_000_000]),
  repositories: limit('Maximum number of repositories of the namespace; null for no limit.', [100]),
  softBytes: limit(
    'A push that exceeds this many bytes is recorded as an event, but not refused; null for no such limit.',
    [40_000_000_000],
  ),
}
const Quota = Type.Object(quotaFields, { description: 'The quota.' })

export const QuotaInput = Type.Object(
  {
    bytes: Type.Optional(quotaFields.bytes),
    repositories: Type.Optional(quotaFields.repositories),
    softBytes: Type.Optional(quotaFields.softBytes),
  },
  {
    additionalProperties: false,
    description: 'A field that is null or missing sets no limit.',
    examples: [{ bytes: 50_000_000_000, repositories: 100, softBytes: 40_000_000_000 }],
  },
)

const used = {
  namespace: Type.String(),
  bytes: Type.Union([Type.Number({ minimum: 0 }), Type.Null()], {
    description:
      'Bytes of manifests and of the blobs that they reference, each digest once. For `*` null before the first count.',
  }),
  repositories: Type.Number({ minimum: 0 }),
}
const Usage = Type.Object(
  {
    ...used,
    counting: Type.Boolean({
      description: 'Whether a count is in progress; until it ends, `bytes` may be too small.',
    }),
    quota: Quota,
    largest: Type.Optional(
      Type.Array(Type.Object(used), {
        description: 'For `*` only: the 50 namespaces that use the most bytes.',
      }),
    ),
  },
  { description: 'The usage.' },
)

const NAMESPACE_RULE = 'must be the first component of the names of repositories, such as team'
const namespaceParam = (pattern: string, more: string) =>
  Type.Object({
    namespace: Type.String({
      pattern,
      maxLength: MAX_NAME_LENGTH - 2,
      'x-rule': `${NAMESPACE_RULE}${more}`,
      description: `The first component of the names of repositories${more}.`,
      examples: ['team'],
    }),
  })
const ONE = namespaceParam(`^${NOT_RESERVED_PATTERN}${COMPONENT_PATTERN}$`, '')
const ONE_OR_ALL = namespaceParam(
  `^(?:\\*|${NOT_RESERVED_PATTERN}${COMPONENT_PATTERN})$`,
  ', or `*` for all namespaces together',
)

const common = { tags: ['quotas'], security: BASIC_OR_BEARER }
const MANAGERS =
  'For cluster administrators, administrators of the namespace, and owners of all its repositories. The credentials ' +
  'are a password or an identity token.'
const FAULTS = [400, 401, 403, 429, 503] as const

export const QUOTA_SCHEMAS = {
  getQuota: {
    ...common,
    operationId: 'getQuota',
    summary: 'Get the quota of a namespace',
    description: MANAGERS,
    params: ONE,
    response: { 200: Quota, ...problemResponses(...FAULTS) },
  },
  putQuota: {
    ...common,
    operationId: 'setQuota',
    summary: 'Set the quota of a namespace',
    description:
      'For cluster administrators. If a namespace already uses more than its new quota, nothing is deleted, and ' +
      'pushes that need more are refused.',
    params: ONE,
    body: QuotaInput,
    response: { 200: Quota, ...problemResponses(...FAULTS, 413, 415) },
  },
  getUsage: {
    ...common,
    operationId: 'getUsage',
    summary: 'Get the usage of a namespace, or of all',
    description: `${MANAGERS} \`*\` is for cluster administrators: the usage of the whole registry, each digest once.`,
    params: ONE_OR_ALL,
    response: { 200: Usage, ...problemResponses(...FAULTS) },
  },
  recount: {
    ...common,
    operationId: 'recountUsage',
    summary: 'Recount the usage of a namespace',
    description: 'For cluster administrators. The count runs in the background, and pushes go on.',
    params: ONE,
    response: { 202: Usage, ...problemResponses(...FAULTS) },
  },
}
