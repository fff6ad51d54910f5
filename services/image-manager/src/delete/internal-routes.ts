import type { FastifyPluginAsyncTypebox } from '@fastify/type-provider-typebox'
import { parseReference } from '@registry-manager/oci'
import { DeletionResponse } from '@registry-manager/principal'
import { ProblemError } from '@registry-manager/http'
import { Type } from 'typebox'
import { describeProtection } from '../immutability/tag-rule.ts'
import type { DeleteManifestResult, DeletionResult } from './delete-manifest.ts'

export interface DeleteInternalRoutesOptions {
  readonly deleteManifest: (
    repository: string,
    digest: string,
    options: { readonly unlessInUse: boolean },
  ) => Promise<DeleteManifestResult>
  readonly deleteTag: (repository: string, tag: string) => Promise<DeletionResult>
  readonly deleteBlob: (repository: string, digest: string) => Promise<DeletionResult>
}

const ManifestQuery = Type.Object({
  repository: Type.String(),
  reference: Type.String(),
  force: Type.Optional(Type.Literal('true')),
})
const BlobQuery = Type.Object({ repository: Type.String(), digest: Type.String() })

/** Routes by which registry-proxy deletes content. */
export const deleteInternalRoutes: FastifyPluginAsyncTypebox<DeleteInternalRoutesOptions> = async (
  app,
  { deleteManifest, deleteTag, deleteBlob },
) => {
  app.delete(
    '/internal/manifests',
    { schema: { querystring: ManifestQuery, response: { 200: DeletionResponse } } },
    async ({ query }) => {
      const { repository } = query
      const reference = parseReference(query.reference)
      if (reference === undefined) {
        const detail = `reference must be a tag or a digest, not ${JSON.stringify(query.reference)}`
        throw new ProblemError({ status: 400, detail, field: 'reference' })
      }
      if ('tag' in reference) return toResponse(await deleteTag(repository, reference.tag), repository)
      const removal = await deleteManifest(repository, reference.digest, {
        unlessInUse: query.force !== 'true',
      })
      if (removal.outcome === 'in-use') return { deleted: false, inUseBy: removal.by }
      return toResponse(removal, repository)
    },
  )

  app.delete(
    '/internal/blobs',
    { schema: { querystring: BlobQuery, response: { 200: DeletionResponse } } },
    async ({ query: { repository, digest } }) => toResponse(await deleteBlob(repository, digest), repository),
  )
}

function toResponse(result: DeletionResult, repository: string) {
  if (result.outcome !== 'protected') return { deleted: result.outcome === 'deleted' }
  return { deleted: false, immutable: { ...result.by, message: describeProtection(result.by, repository) } }
}
