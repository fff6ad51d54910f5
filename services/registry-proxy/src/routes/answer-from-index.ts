import type { RegistryRequest } from '@registry-manager/oci'
import type { Caller } from '@registry-manager/service-kit'
import type { FastifyReply, FastifyRequest } from 'fastify'
import type { IndexClient, IndexedManifest } from '../adapters/index-client.ts'
import type { IndexRequest } from '../domain/decide.ts'
import { refuse } from './refuse.ts'

const INDEX_TYPE = 'application/vnd.oci.image.index.v1+json'

/**
 * Answers what the index knows better than the registry: lists that are filtered and page well, referrers,
 * manifests by their sha512, and deletions.
 * Source: OCI distribution-spec 1.1, "Listing Tags", "Listing Referrers", "Deleting Manifests"; distribution's API for the catalog.
 */
export async function answerFromIndex(
  index: IndexClient,
  asked: IndexRequest,
  { uid }: Caller,
  request: FastifyRequest,
  reply: FastifyReply,
) {
  switch (asked.kind) {
    case 'catalog': {
      const { names, more } = await index.catalog(uid, asked)
      linkNext(reply, '/v2/_catalog', asked.n, more ? names.at(-1) : undefined)
      return reply.send({ repositories: names })
    }
    case 'tags': {
      const { repository } = asked
      const page = await index.tags(repository, asked)
      if (page === undefined)
        return refuse(request, reply, { code: 'NAME_UNKNOWN', detail: { name: repository } })
      linkNext(reply, `/v2/${repository}/tags/list`, asked.n, page.more ? page.names.at(-1) : undefined)
      return reply.send({ name: repository, tags: page.names })
    }
    case 'referrers': {
      const { repository, digest, artifactType } = asked
      const manifests = await index.referrers(repository, digest, artifactType)
      if (artifactType !== undefined) reply.header('oci-filters-applied', 'artifactType')
      // As bytes: to text Fastify would add a charset, which the media type has not.
      const body = Buffer.from(JSON.stringify({ schemaVersion: 2, mediaType: INDEX_TYPE, manifests }))
      return reply.type(INDEX_TYPE).send(body)
    }
    case 'manifest': {
      const { repository, reference, method } = asked
      if (method !== 'DELETE') {
        const found = await index.findManifest(repository, reference)
        return found === undefined
          ? refuse(request, reply, { code: 'MANIFEST_UNKNOWN' })
          : sendManifest(reply, asked, found)
      }
      const deleted = await index.deleteManifest(repository, reference)
      if (!deleted) return refuse(request, reply, { code: 'MANIFEST_UNKNOWN' })
      return reply.code(202).send()
    }
    case 'blob': {
      const deleted = await index.deleteBlob(asked.repository, asked.digest)
      if (!deleted) return refuse(request, reply, { code: 'BLOB_UNKNOWN' })
      return reply.code(202).send()
    }
  }
}

/** Answers with a manifest that the index holds. Source: OCI distribution-spec 1.1, "Pulling manifests". */
export function sendManifest(
  reply: FastifyReply,
  { reference }: Extract<RegistryRequest, { kind: 'manifest' }>,
  { mediaType, digest, raw }: IndexedManifest,
) {
  const headers = {
    'content-type': mediaType,
    'content-length': raw.length,
    'docker-content-digest': 'digest' in reference ? reference.digest : digest,
    etag: `"${digest}"`,
  }
  return reply.code(200).headers(headers).send(raw)
}

/** Source: RFC 8288; the parameters in the order in which distribution writes them. */
function linkNext(reply: FastifyReply, path: string, n: number | undefined, last: string | undefined): void {
  if (last === undefined) return
  const query = new URLSearchParams({ last, n: String(n ?? 100) })
  reply.header('link', `<${path}?${query}>; rel="next"`)
}
