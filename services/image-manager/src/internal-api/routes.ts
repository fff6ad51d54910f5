import type { FastifyPluginAsyncTypebox } from '@fastify/type-provider-typebox'
import { parseReference } from '@registry-manager/oci'
import type { AccountFacts } from '@registry-manager/principal'
import {
  AnnounceAnswer,
  AnnouncedBlob,
  AnnouncedBlobAnswer,
  BlobAlias,
  BlobAliasAnswer,
  EndedGlobals,
  ManifestAnswer,
  NamesPage,
  RecordAnswer,
  ReferrersAnswer,
  RemovalAnswer,
  ScopesAnswer,
  ScopesRequest,
} from '@registry-manager/principal'
import { ProblemError, createByteBudget, unavailable } from '@registry-manager/http'
import { Type } from 'typebox'
import type { IndexQueries } from '../index/index-queries.ts'
import { announceManifest } from '../push/announce-push.ts'
import { recordPush } from '../push/record-push.ts'
import { findReferrers } from '../index/referrers.ts'
import type { RemovePorts } from '../delete/delete.ts'
import { deleteOneBlob } from '../delete/delete-blobs.ts'
import { deleteManifest, deleteTag } from '../delete/delete.ts'
import { catalogVisibility } from '../index/visibility.ts'
import { MANIFEST_BUDGET, MAX_MANIFEST_BYTES, reserveManifest, whileReserved } from './manifest-memory.ts'

export interface InternalRoutesOptions extends RemovePorts {
  readonly queries: IndexQueries
  readonly findAccount: (uid: string) => Promise<AccountFacts | undefined>
}

const Named = Type.Object({ repository: Type.String(), reference: Type.String() })
const Removed = Type.Object({ ...Named.properties, force: Type.Optional(Type.Literal('true')) })
const Admitted = Type.Object({
  repository: Type.String(),
  reference: Type.String(),
  type: Type.String(),
  /** Id of the account that pushes; the previous version's proxy does not send it. */
  account: Type.Optional(Type.String({ maxLength: 100 })),
})
const Page = { n: Type.Optional(Type.String({ pattern: '^\\d+$' })), last: Type.Optional(Type.String()) }
const Id = Type.Object({ id: Type.String({ format: 'uuid' }) })

const DEFAULT_PAGE = 100
/** Clients that do not follow a Link lose what comes after it, so that nearly all tags come at once. */
const ALL_TAGS = 10_000

/** What the proxy and auth-service ask of the index. */
export const internal: FastifyPluginAsyncTypebox<InternalRoutesOptions> = async (app, options) => {
  const { index, queries, findAccount } = options
  const budget = createByteBudget(MANIFEST_BUDGET)
  app.addContentTypeParser(
    '*',
    { parseAs: 'buffer', bodyLimit: MAX_MANIFEST_BYTES },
    (_request, body, done) => done(null, body),
  )

  app.post(
    '/internal/admissions',
    {
      bodyLimit: MAX_MANIFEST_BYTES,
      schema: { querystring: Admitted, response: { 200: AnnounceAnswer } },
      onRequest: (request, reply) => reserveManifest(budget, request, reply),
    },
    (request) =>
      whileReserved(request, async () => {
        const { query, body } = request
        const { repository, type } = query
        const reference = parseReference(query.reference) ?? badReference()
        if (await index.isBeingDeleted(repository)) throw unavailable('the repository is being deleted', 2)
        return announceManifest(options, { repository, reference, type, raw: body as unknown as Buffer })
      }),
  )

  app.post(
    '/internal/admissions/:id/record',
    { schema: { params: Id, response: { 200: RecordAnswer } } },
    async ({ params }) => {
      const admission = await index.findPendingPush(params.id)
      if (admission === undefined) throw new ProblemError({ status: 404, detail: 'it was settled already' })
      const manifest = await recordPush(options, admission)
      return { digest: manifest?.digest ?? null, subject: manifest?.subject ?? null }
    },
  )

  app.delete(
    '/internal/admissions/:id',
    { schema: { params: Id, response: { 200: RemovalAnswer } } },
    async ({ params }) => {
      await index.removePendingPush(params.id)
      return { deleted: true }
    },
  )

  app.get(
    '/internal/manifests',
    { schema: { querystring: Named, response: { 200: ManifestAnswer } } },
    async ({ query }) => {
      const reference = parseReference(query.reference) ?? badReference()
      const size = (await queries.measureManifest(query.repository, reference)) ?? noManifest()
      const release = (await budget.take('', size)) ?? tooMany()
      try {
        const found = (await queries.findManifest(query.repository, reference)) ?? noManifest()
        return { ...found, raw: found.raw.toString('base64') }
      } finally {
        release()
      }
    },
  )

  app.delete(
    '/internal/manifests',
    { schema: { querystring: Removed, response: { 200: RemovalAnswer } } },
    async ({ query }) => {
      const reference = parseReference(query.reference) ?? badReference()
      const { repository } = query
      if ('tag' in reference) return { deleted: await deleteTag(options, repository, reference.tag) }
      const unlessInUse = query.force !== 'true'
      const removal = await deleteManifest(options, repository, reference.digest, { unlessInUse })
      return removal.outcome === 'in-use'
        ? { deleted: false, inUseBy: removal.by }
        : { deleted: removal.outcome === 'deleted' }
    },
  )

  app.post(
    '/internal/blob-aliases',
    { schema: { body: BlobAlias, response: { 200: BlobAliasAnswer } } },
    async ({ body }) => {
      await index.aliasBlob(body.repository, body.sha512, body.sha256)
      return { known: true as const }
    },
  )

  app.post(
    '/internal/announced-blobs',
    { schema: { body: AnnouncedBlob, response: { 200: AnnouncedBlobAnswer } } },
    async ({ body }) => {
      if (!(await index.announceBlob(body.repository, body.digest))) {
        throw unavailable(`the repository ${body.repository} is being deleted`, 2)
      }
      return { known: true as const }
    },
  )

  app.delete(
    '/internal/blobs',
    {
      schema: {
        querystring: Type.Object({ repository: Type.String(), digest: Type.String() }),
        response: { 200: RemovalAnswer },
      },
    },
    async ({ query }) => ({ deleted: await deleteOneBlob(options, query.repository, query.digest) }),
  )

  app.get(
    '/internal/catalog',
    { schema: { querystring: Type.Object({ uid: Type.String(), ...Page }), response: { 200: NamesPage } } },
    async ({ query }) => {
      const account = await findAccount(query.uid)
      if (account === undefined) return { names: [], more: false }
      return pageOf(query, async (page) => {
        const rows = await queries.listRepositories(catalogVisibility(account), page)
        return rows.map(({ name }) => name)
      })
    },
  )

  app.get(
    '/internal/tags',
    {
      schema: {
        querystring: Type.Object({ repository: Type.String(), ...Page }),
        response: { 200: NamesPage },
      },
    },
    async ({ query }) => {
      const repository = await queries.findRepository(query.repository)
      if (repository === undefined)
        throw new ProblemError({ status: 404, detail: 'there is no such repository' })
      return pageOf(query, (page) => queries.listTags(repository.id, page), ALL_TAGS)
    },
  )

  app.get(
    '/internal/referrers',
    {
      schema: {
        querystring: Type.Object({
          repository: Type.String(),
          digest: Type.String(),
          artifactType: Type.Optional(Type.String()),
          last: Type.Optional(Type.String()),
        }),
        response: { 200: ReferrersAnswer },
      },
    },
    async ({ query }) => {
      const { repository, digest, artifactType, last } = query
      return findReferrers(queries, repository, digest, { artifactType, after: last })
    },
  )

  app.post(
    '/internal/scopes',
    { schema: { body: ScopesRequest, response: { 200: ScopesAnswer } } },
    async ({ body }) => {
      const marks = await queries.findGlobalMarks(body.names)
      return { global: Object.keys(marks), marks }
    },
  )

  app.get('/internal/ended-globals', { schema: { response: { 200: EndedGlobals } } }, async () => ({
    repositories: await queries.listEndedGlobals(),
  }))
}

/** One more than the page is read, which tells whether there is more. */
async function pageOf(
  { n, last = '' }: { n?: string; last?: string },
  read: (page: { limit: number; after: string }) => Promise<string[]>,
  defaultLimit = DEFAULT_PAGE,
) {
  const limit = n === undefined ? defaultLimit : Number(n)
  if (limit === 0) return { names: [], more: false }
  const names = await read({ limit: limit + 1, after: last })
  return { names: names.slice(0, limit), more: names.length > limit }
}

function noManifest(): never {
  throw new ProblemError({ status: 404, detail: 'there is no such manifest' })
}

function tooMany(): never {
  const detail = 'too many manifests are being read at once; retry in a second'
  throw new ProblemError({ status: 429, detail, headers: { 'retry-after': '1' } })
}

function badReference(): never {
  throw new ProblemError({ status: 400, detail: 'reference must be a tag or a digest', field: 'reference' })
}
