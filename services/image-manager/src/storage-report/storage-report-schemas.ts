import { BASIC_OR_BEARER, problemResponses } from '@registry-manager/http'
import { MAX_NAME_LENGTH } from '@registry-manager/oci'
import { Type } from 'typebox'

/* The schemas of the storage report. */

const count = (description: string) => Type.Number({ minimum: 0, description })
const amount = (description: string) =>
  Type.Object({ blobs: count('Number of blobs.'), bytes: count('Bytes of their data.') }, { description })

const Totals = Type.Object({
  beganAt: Type.String(),
  endedAt: Type.String(),
  stored: amount('All blobs of the storage: the sum of the next five fields.'),
  known: amount(
    'Blobs that the index or a link in the storage names, without blobs that only the trash references.',
  ),
  trash: amount('Blobs that only the trash references.'),
  condemned: amount('Blobs that nothing references any more. They are waiting, condemned, or being removed.'),
  recent: amount('Blobs that neither the index nor a link names, younger than the grace period.'),
  unknown: amount('Blobs that neither the index nor a link names, older than the grace period.'),
  uploads: Type.Object(
    { count: count('Number of uploads.'), bytes: count('Bytes of their data.') },
    { description: 'Unfinished uploads, which the registry removes after a day.' },
  ),
})

const Report = Type.Object(
  {
    namespaces: count('Number of namespaces with repositories.'),
    repositories: count('Number of repositories.'),
    storage: Type.Union([Totals, Type.Null()], {
      description: 'The sums of the last complete listing; null before the first one.',
    }),
  },
  { description: 'The report.' },
)

const bytes = count('Bytes of manifests and of the blobs that they reference, each digest once.')
const next = Type.Union([Type.String(), Type.Null()], {
  description: 'The value of `after` for the next page; null on the last page.',
})
const Namespaces = Type.Object(
  {
    items: Type.Array(
      Type.Object({ namespace: Type.String(), bytes, repositories: count('Number of its repositories.') }),
    ),
    next,
  },
  { description: 'A page of namespaces, by their names.' },
)
const Repositories = Type.Object(
  {
    items: Type.Array(
      Type.Object({
        repository: Type.String(),
        manifests: count('Number of its manifests.'),
        bytes,
        frees: count(
          'The bytes that its deletion would free: `bytes` without the blobs that other repositories also have.',
        ),
      }),
    ),
    next,
  },
  {
    description:
      'A page of repositories, by their names. A page may have fewer than `limit`, even if another page follows.',
  },
)

const pageQuery = (items: string) =>
  Type.Object({
    limit: Type.Optional(
      Type.Integer({
        minimum: 1,
        maximum: 200,
        default: 100,
        description: `Maximum number of ${items} of a page.`,
      }),
    ),
    after: Type.Optional(
      Type.String({ maxLength: MAX_NAME_LENGTH, description: '`next` of the previous page.' }),
    ),
  })

const common = { tags: ['storage'], security: BASIC_OR_BEARER }
const WHO = 'For cluster administrators, with a password or an identity token.'
const FAULTS = [400, 401, 403, 429, 503] as const

export const STORAGE_REPORT_SCHEMAS = {
  report: {
    ...common,
    operationId: 'getStorage',
    summary: 'Get the sizes of the content of the storage',
    description: WHO,
    response: { 200: Report, ...problemResponses(...FAULTS) },
  },
  listNamespaces: {
    ...common,
    operationId: 'listNamespaceSizes',
    summary: 'List the sizes of namespaces',
    description: WHO,
    querystring: pageQuery('namespaces'),
    response: { 200: Namespaces, ...problemResponses(...FAULTS) },
  },
  listRepositories: {
    ...common,
    operationId: 'listRepositorySizes',
    summary: 'List the sizes of repositories, and the bytes that their deletion would free',
    description: WHO,
    querystring: pageQuery('repositories'),
    response: { 200: Repositories, ...problemResponses(...FAULTS) },
  },
}
