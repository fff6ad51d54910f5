import type { FastifyPluginAsyncTypebox } from '@fastify/type-provider-typebox'
import { parseReference } from '@registry-manager/oci'
import {
  AnnounceResponse,
  AnnouncedBlob,
  AnnouncedBlobResponse,
  BlobAlias,
  BlobAliasResponse,
  RecordResponse,
  DeletionResponse,
} from '@registry-manager/principal'
import type { ByteBudget } from '@registry-manager/http'
import { ProblemError, setAccountOfPreviousVersion, unavailable } from '@registry-manager/http'
import { Type } from 'typebox'
import { MAX_ANNOUNCEMENT_BYTES, reserveManifest, whileReserved } from './manifest-memory.ts'
import type { Push } from './push.ts'

export interface PushInternalRoutesOptions {
  readonly push: Push
  readonly manifestBudget: ByteBudget
}

const AnnounceQuery = Type.Object({
  repository: Type.String(),
  reference: Type.String(),
  type: Type.String(),
  /**
   * Id of the account that pushes. Needed only if the request has no context: the previous version of registry-proxy
   * sends none.
   */
  account: Type.Optional(Type.String({ maxLength: 100 })),
})
const PendingPushParams = Type.Object({ id: Type.String({ format: 'uuid' }) })

/** Routes by which registry-proxy reports pushes of manifests and blobs. */
export const pushInternalRoutes: FastifyPluginAsyncTypebox<PushInternalRoutesOptions> = async (
  app,
  { push, manifestBudget },
) => {
  app.addContentTypeParser(
    '*',
    { parseAs: 'buffer', bodyLimit: MAX_ANNOUNCEMENT_BYTES },
    (_request, body, done) => done(null, body),
  )

  app.post(
    '/internal/admissions',
    {
      bodyLimit: MAX_ANNOUNCEMENT_BYTES,
      schema: { querystring: AnnounceQuery, response: { 200: AnnounceResponse } },
      onRequest: (request, reply) => reserveManifest(manifestBudget, request, reply),
    },
    (request) =>
      whileReserved(request, async () => {
        const { query, body } = request
        const { repository, type, account } = query
        if (account !== undefined) setAccountOfPreviousVersion(account)
        const reference = parseReference(query.reference)
        if (reference === undefined) {
          const detail = `reference must be a tag or a digest, not ${JSON.stringify(query.reference)}`
          throw new ProblemError({ status: 400, detail, field: 'reference' })
        }
        const announced = await push.announce({ repository, reference, type, raw: body as unknown as Buffer })
        // The outcomes' names on the wire are those of the first version.
        switch (announced.outcome) {
          case 'announced':
            return { ...announced, outcome: 'admitted' as const }
          case 'index-only':
            return { ...announced, outcome: 'kept' as const }
          case 'being-deleted':
            throw beingDeleted(repository)
          case 'refused':
            return announced
        }
      }),
  )

  app.post(
    '/internal/admissions/:id/record',
    { schema: { params: PendingPushParams, response: { 200: RecordResponse } } },
    async ({ params }) => {
      const recorded = await push.record(params.id)
      if (recorded === undefined) {
        const detail = `there is no pending push ${params.id}: it was recorded or discarded before`
        throw new ProblemError({ status: 404, detail })
      }
      return recorded
    },
  )

  app.delete(
    '/internal/admissions/:id',
    { schema: { params: PendingPushParams, response: { 200: DeletionResponse } } },
    async ({ params }) => {
      await push.discard(params.id)
      return { deleted: true }
    },
  )

  app.post(
    '/internal/blob-aliases',
    { schema: { body: BlobAlias, response: { 200: BlobAliasResponse } } },
    async ({ body }) => {
      await push.recordBlobAlias(body)
      return { known: true as const }
    },
  )

  app.post(
    '/internal/announced-blobs',
    { schema: { body: AnnouncedBlob, response: { 200: AnnouncedBlobResponse } } },
    async ({ body }) => {
      if (!(await push.announceBlob(body))) throw beingDeleted(body.repository)
      return { known: true as const }
    },
  )
}

function beingDeleted(repository: string): Error {
  return unavailable(`the repository ${repository} is being deleted; retry when that has ended`, 2)
}
