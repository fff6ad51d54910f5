import type { FastifyPluginAsyncTypebox } from '@fastify/type-provider-typebox'
import type { Reference } from '@registry-manager/oci'
import { parseReference } from '@registry-manager/oci'
import {
  EndedGlobalScopes,
  ManifestDescriptions,
  ManifestResponse,
  NamedManifests,
  NamesPage,
  ReferrersResponse,
  ScopesResponse,
  ScopesRequest,
} from '@registry-manager/principal'
import type { ConditionContext, RightsQuery } from '@registry-manager/principal'
import { ProblemError, currentRequestContext } from '@registry-manager/http'
import { Type } from 'typebox'
import type { GlobalScope } from './global-scope.ts'
import type { DescribeManifestsPorts, ReadManifest } from './read-manifest.ts'
import type { ReferrerDescriptor } from './referrers.ts'
import type { Page, PageRequest } from './repository.ts'

export interface IndexInternalRoutesOptions {
  readonly readManifest: (repository: string, reference: Reference) => Promise<ReadManifest>
  readonly describeManifests: DescribeManifestsPorts['manifestLookup']['describeManifests']
  readonly listCatalog: (
    reader: RightsQuery,
    page: PageRequest,
    context: ConditionContext,
  ) => Promise<Page<string>>
  /** Milliseconds since the epoch. */
  readonly now: () => number
  readonly listNamespaces: (page: PageRequest) => Promise<Page<string>>
  readonly listTags: (repository: string, page: PageRequest) => Promise<Page<string> | undefined>
  readonly findReferrers: (
    repository: string,
    digest: string,
    options: { readonly artifactType?: string; readonly after?: string },
  ) => Promise<Page<ReferrerDescriptor>>
  readonly globalScope: GlobalScope
}

const ManifestQuery = Type.Object({ repository: Type.String(), reference: Type.String() })
const PageQuery = {
  n: Type.Optional(Type.Integer({ minimum: 0 })),
  last: Type.Optional(Type.String()),
}
const CatalogQuery = Type.Object({
  uid: Type.String(),
  via: Type.Optional(Type.String()),
  /** The ids of further trust rules, separated by commas. */
  rules: Type.Optional(Type.String()),
  ...PageQuery,
})
const TagsQuery = Type.Object({ repository: Type.String(), ...PageQuery })
const ReferrersQuery = Type.Object({
  repository: Type.String(),
  digest: Type.String(),
  artifactType: Type.Optional(Type.String()),
  last: Type.Optional(Type.String()),
})

const DEFAULT_PAGE = 100
/** Clients that do not follow a Link header lose all further pages, so nearly every repository's tags fit into one. */
const DEFAULT_TAGS_PAGE = 10_000

/** Routes by which registry-proxy and auth-service read the index. */
export const indexInternalRoutes: FastifyPluginAsyncTypebox<IndexInternalRoutesOptions> = async (
  app,
  { readManifest, describeManifests, listCatalog, listNamespaces, listTags, findReferrers, globalScope, now },
) => {
  app.get(
    '/internal/manifests',
    { schema: { querystring: ManifestQuery, response: { 200: ManifestResponse } } },
    async ({ query }) => {
      const reference = parseReference(query.reference)
      if (reference === undefined) throw invalidReference(query.reference)
      const found = await readManifest(query.repository, reference)
      switch (found.outcome) {
        case 'found': {
          const { digest, mediaType, indexOnly, base64 } = found.manifest
          return { digest, mediaType, kept: indexOnly, raw: base64 }
        }
        case 'unknown':
          throw notFound(`the index has no manifest ${query.reference} in ${query.repository}`)
        case 'busy': {
          const detail = 'too many manifests are being read at once; retry in a second'
          throw new ProblemError({ status: 429, detail, headers: { 'retry-after': '1' } })
        }
      }
    },
  )

  app.post(
    '/internal/manifest-descriptions',
    { schema: { body: NamedManifests, response: { 200: ManifestDescriptions } } },
    async ({ body }) => ({ found: await describeManifests(body.manifests) }),
  )

  app.get(
    '/internal/catalog',
    { schema: { querystring: CatalogQuery, response: { 200: NamesPage } } },
    async ({ query }) => {
      // The address of the client whose request registry-proxy handles.
      const context = { address: currentRequestContext()?.address ?? undefined, now: now() }
      const { uid, via, rules } = query
      const reader = { uid, via, rules: rules?.split(',') }
      return toNamesPage(await listCatalog(reader, pageOf(query, DEFAULT_PAGE), context))
    },
  )

  app.get(
    '/internal/namespaces',
    { schema: { querystring: Type.Object(PageQuery), response: { 200: NamesPage } } },
    async ({ query }) => toNamesPage(await listNamespaces(pageOf(query, DEFAULT_PAGE))),
  )

  app.get(
    '/internal/tags',
    { schema: { querystring: TagsQuery, response: { 200: NamesPage } } },
    async ({ query }) => {
      const page = await listTags(query.repository, pageOf(query, DEFAULT_TAGS_PAGE))
      if (page === undefined) throw notFound(`the index has no repository ${query.repository}`)
      return toNamesPage(page)
    },
  )

  app.get(
    '/internal/referrers',
    { schema: { querystring: ReferrersQuery, response: { 200: ReferrersResponse } } },
    async ({ query }) => {
      const { repository, digest, artifactType, last } = query
      const { items, next } = await findReferrers(repository, digest, { artifactType, after: last })
      return { manifests: [...items], next }
    },
  )

  app.post(
    '/internal/scopes',
    { schema: { body: ScopesRequest, response: { 200: ScopesResponse } } },
    async ({ body }) => {
      const marks = Object.entries(await globalScope.findMarks(body.names))
      const copied = marks.map(([name, mark]): [string, [number, number]] => [name, [...mark]])
      return { global: marks.map(([name]) => name), marks: Object.fromEntries(copied) }
    },
  )

  app.get('/internal/ended-globals', { schema: { response: { 200: EndedGlobalScopes } } }, async () => ({
    repositories: await globalScope.listEnded(),
  }))
}

function pageOf({ n, last = '' }: { n?: number; last?: string }, defaultLimit: number): PageRequest {
  return { limit: n ?? defaultLimit, after: last }
}

function toNamesPage({ items, next }: Page<string>) {
  return { names: [...items], more: next !== undefined }
}

function notFound(detail: string): ProblemError {
  return new ProblemError({ status: 404, detail })
}

function invalidReference(reference: string): ProblemError {
  const detail = `reference must be a tag or a digest, not ${JSON.stringify(reference)}`
  return new ProblemError({ status: 400, detail, field: 'reference' })
}
