import type { RegistryError, RegistryRequest } from '@registry-manager/oci'
import type { Principal } from '@registry-manager/principal'
import type { FastifyReply, FastifyRequest } from 'fastify'
import type { IndexClient, IndexedManifest } from './index-client.ts'
import type { IndexRequest } from './decide.ts'
import { refuse } from './refuse.ts'

/** How many names a page of the catalog has if the client does not say. */
const CATALOG_PAGE = 100

const INDEX_TYPE = 'application/vnd.oci.image.index.v1+json'

/**
 * Answers what the index knows better than the registry: lists that are filtered and page well, referrers,
 * manifests by their sha512, and deletions.
 * Source: OCI distribution-spec 1.1, "Listing Tags", "Listing Referrers", "Deleting Manifests"; distribution's API for the catalog.
 */
export async function answerFromIndex(
  index: IndexClient,
  asked: IndexRequest,
  { uid }: Principal,
  request: FastifyRequest,
  reply: FastifyReply,
) {
  switch (asked.kind) {
    case 'catalog': {
      const { names, more } = await index.catalog(uid, asked)
      linkNext(reply, '/v2/_catalog', { last: more ? names.at(-1) : undefined, n: asked.n ?? CATALOG_PAGE })
      return reply.send({ repositories: names })
    }
    case 'tags': {
      const { repository } = asked
      const page = await index.tags(repository, asked)
      if (page === undefined)
        return refuse(request, reply, { code: 'NAME_UNKNOWN', detail: { name: repository } })
      const last = page.more ? page.names.at(-1) : undefined
      linkNext(reply, `/v2/${repository}/tags/list`, { last, n: asked.n })
      return reply.send({ name: repository, tags: page.names })
    }
    case 'referrers': {
      const { repository, digest, artifactType, last } = asked
      const { manifests, next } = await index.referrers(repository, digest, { artifactType, last })
      linkNext(reply, `/v2/${repository}/referrers/${digest}`, { artifactType, last: next })
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
      const { deleted, inUseBy } = await index.deleteManifest(repository, reference, asked.force)
      if (inUseBy !== undefined) return refuse(request, reply, refusalOfChild(inUseBy))
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

/**
 * Why a manifest that an index names is not deleted: the index could be pulled no more. Harbor and zot refuse it, too;
 * the specification has no code for it.
 */
function refusalOfChild({ digest, tag }: { digest: string; tag: string | null }): RegistryError {
  const index = tag === null ? digest : `${digest} (tag ${tag})`
  const message = `the manifest is part of the index ${index}; delete the index first, or add ?force=true`
  return { code: 'DENIED', status: 409, message, detail: { index: digest, tag } }
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
function linkNext(
  reply: FastifyReply,
  path: string,
  parameters: { readonly last: string | undefined; readonly [name: string]: string | number | undefined },
): void {
  if (parameters.last === undefined) return
  const given = Object.entries(parameters).filter(([, value]) => value !== undefined)
  const query = new URLSearchParams(given.map(([name, value]): [string, string] => [name, String(value)]))
  reply.header('link', `<${path}?${query}>; rel="next"`)
}
