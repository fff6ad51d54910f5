import type { RegistryRequest } from '@registry-manager/oci'
import { MEDIA_TYPES } from '@registry-manager/oci'
import type { Principal } from '@registry-manager/principal'
import type { FastifyReply, FastifyRequest } from 'fastify'
import type { IndexRequest } from './authorize.ts'
import type { IndexClient, IndexedManifest, DeletionOutcome } from './index-client.ts'
import type { Refusal } from './refuse.ts'
import { refuse } from './refuse.ts'
import { toQuery } from './upstream-request.ts'

/** The length of a page of the catalog if the client does not specify one. */
const CATALOG_PAGE = 100

/**
 * Responds to a request for image-manager's index: for lists, which are filtered for the principal and paged,
 * referrers, manifests by their sha512 digest, and deletions.
 * Source: OCI distribution-spec 1.1, "Listing Tags", "Listing Referrers", "Deleting Manifests"; distribution's API for
 * the catalog.
 */
export async function respondFromIndex(
  index: IndexClient,
  indexRequest: IndexRequest,
  principal: Principal,
  request: FastifyRequest,
  reply: FastifyReply,
): Promise<FastifyReply> {
  switch (indexRequest.kind) {
    case 'catalog': {
      const { n = CATALOG_PAGE, last: after } = indexRequest
      const { names, more } = await index.catalog(principal, { n, last: after })
      const last = more ? names.at(-1) : undefined
      linkNext(reply, '/v2/_catalog', { last, n })
      return reply.send({ repositories: names })
    }
    case 'tags': {
      const { repository } = indexRequest
      const page = await index.tags(repository, indexRequest)
      if (page === undefined) {
        return refuse(request, reply, { code: 'NAME_UNKNOWN', detail: { name: repository } })
      }
      const last = page.more ? page.names.at(-1) : undefined
      linkNext(reply, `/v2/${repository}/tags/list`, { last, n: indexRequest.n })
      return reply.send({ name: repository, tags: page.names })
    }
    case 'referrers': {
      const { repository, digest, artifactType, last } = indexRequest
      const { manifests, next } = await index.referrers(repository, digest, { artifactType, last })
      linkNext(reply, `/v2/${repository}/referrers/${digest}`, { artifactType, last: next })
      if (artifactType !== undefined) reply.header('oci-filters-applied', 'artifactType')
      const list = { schemaVersion: 2, mediaType: MEDIA_TYPES.ociIndex, manifests }
      // As a buffer: Fastify adds a charset to the type of a string, and this media type has no such parameter.
      return reply.type(MEDIA_TYPES.ociIndex).send(Buffer.from(JSON.stringify(list)))
    }
    case 'manifest': {
      const { repository, reference, method } = indexRequest
      if (method !== 'DELETE') {
        const found = await index.findManifest(repository, reference)
        if (found === undefined) return refuse(request, reply, { code: 'MANIFEST_UNKNOWN' })
        return sendManifest(reply, indexRequest, found)
      }
      const removal = await index.deleteManifest(repository, reference, indexRequest.force)
      const { deleted, inUseBy, immutable } = removal
      if (immutable !== undefined) return refuse(request, reply, refusalOfImmutable(immutable))
      if (inUseBy !== undefined) return refuse(request, reply, refusalOfChild(inUseBy))
      if (!deleted) return refuse(request, reply, { code: 'MANIFEST_UNKNOWN' })
      return reply.code(202).send()
    }
    case 'blob': {
      const { deleted, immutable } = await index.deleteBlob(indexRequest.repository, indexRequest.digest)
      if (immutable !== undefined) return refuse(request, reply, refusalOfImmutable(immutable))
      if (!deleted) return refuse(request, reply, { code: 'BLOB_UNKNOWN' })
      return reply.code(202).send()
    }
  }
}

/**
 * Refuses to delete a manifest that an image index lists: clients could no longer pull the index. Harbor and zot refuse
 * it as well. The specification has no code for it.
 */
function refusalOfChild({ digest, tag }: { digest: string; tag: string | null }): Refusal {
  const name = tag === null ? digest : `${digest} (tag ${tag})`
  const message = `the image index ${name} references this manifest; delete the image index first, or add ?force=true`
  return { code: 'DENIED', status: 409, message, detail: { index: digest, tag } }
}

/** Refuses the deletion of content that an immutable tag needs. */
function refusalOfImmutable({ message, ...detail }: NonNullable<DeletionOutcome['immutable']>): Refusal {
  return { code: 'DENIED', message, detail }
}

/** Sends a manifest of the index. Source: OCI distribution-spec 1.1, "Pulling manifests". */
export function sendManifest(
  reply: FastifyReply,
  { reference }: Extract<RegistryRequest, { kind: 'manifest' }>,
  { mediaType, digest, bytes }: IndexedManifest,
): FastifyReply {
  const headers = {
    'content-type': mediaType,
    'content-length': bytes.length,
    'docker-content-digest': 'digest' in reference ? reference.digest : digest,
    etag: `"${digest}"`,
  }
  return reply.code(200).headers(headers).send(bytes)
}

/** Links to the next page, if there is one. The parameters have the same order as in distribution. Source: RFC 8288. */
function linkNext(
  reply: FastifyReply,
  path: string,
  parameters: { readonly last: string | undefined; readonly [name: string]: string | number | undefined },
): void {
  if (parameters.last !== undefined) reply.header('link', `<${path}?${toQuery(parameters)}>; rel="next"`)
}
