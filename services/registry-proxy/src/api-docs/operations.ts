import { BLOB_OPERATIONS } from './blob-operations.ts'
import { MANIFEST_OPERATIONS } from './manifest-operations.ts'
import type { Kind, PathOf } from './operation.ts'
import { anyObject, json, list, object, readable } from './operation.ts'
import { NAME_SCHEMA, PAGE } from './parameters.ts'

const CATALOG = json(object({ repositories: list(NAME_SCHEMA) }))

/** Every request that the grammar of `/v2/` accepts, by its kind and method. Source: OCI distribution-spec 1.1. */
export const OPERATIONS: { readonly [K in Kind]: PathOf<K> } = {
  base: {
    path: '/v2/',
    tag: 'registry',
    parameters: [],
    methods: readable({
      id: 'getBase',
      summary: 'Check the credentials',
      responses: { 200: { description: 'The credentials are valid.', content: json(anyObject) } },
    }),
  },
  catalog: {
    path: '/v2/_catalog',
    tag: 'registry',
    parameters: PAGE,
    methods: readable({
      id: 'getCatalog',
      summary: 'List repositories',
      description:
        'Lists the repositories that the account may pull, in byte order, 100 on a page without `n`.',
      responses: { 200: { description: 'A page of names.', headers: ['Link'], content: CATALOG } },
      errors: ['PAGINATION_NUMBER_INVALID', 'NAME_INVALID'],
    }),
  },
  ...MANIFEST_OPERATIONS,
  ...BLOB_OPERATIONS,
}
