import type { RegistryError } from './error-codes.ts'
import { describeNoEndpoint } from './error-codes.ts'
import { isRepositoryName } from './name.ts'
import type { Reference } from './reference.ts'
import { isDigest, isTag, parseReference } from './reference.ts'

interface InRepository {
  readonly repository: string
}
type Method<Allowed extends string> = { readonly method: Allowed }

/** A parsed request to the registry, with one variant for each endpoint of the OCI distribution-spec 1.1. */
export type RegistryRequest =
  | ({ readonly kind: 'base' } & Method<'GET' | 'HEAD'>)
  | ({ readonly kind: 'catalog'; readonly n?: number; readonly last?: string } & Method<'GET' | 'HEAD'>)
  | ({ readonly kind: 'tags'; readonly n?: number; readonly last?: string } & InRepository &
      Method<'GET' | 'HEAD'>)
  | ({
      readonly kind: 'referrers'
      readonly digest: string
      readonly artifactType?: string
      /** The digest after which the page starts. */
      readonly last?: string
    } & InRepository &
      Method<'GET' | 'HEAD'>)
  | ({
      readonly kind: 'manifest'
      readonly reference: Reference
      /** Tags that a PUT by digest sets, too. */
      readonly tags?: readonly string[]
      /** Whether a DELETE removes the manifest even if an image index lists it. */
      readonly force?: true
    } & InRepository &
      Method<'GET' | 'HEAD' | 'PUT' | 'DELETE'>)
  | ({ readonly kind: 'blob'; readonly digest: string } & InRepository & Method<'GET' | 'HEAD' | 'DELETE'>)
  | ({ readonly kind: 'upload-start'; readonly mount?: BlobMount } & InRepository & Method<'POST'>)
  | ({
      readonly kind: 'upload'
      readonly id: string
      /** The registry's own state parameter, forwarded unchanged. */
      readonly state?: string
      /** The upload binding: ties the upload to the account that started it. */
      readonly binding?: string
      /** The digest of a closing PUT. */
      readonly digest?: string
    } & InRepository &
      Method<'GET' | 'HEAD' | 'PATCH' | 'PUT' | 'DELETE'>)

/** A blob to mount from another repository. */
export interface BlobMount {
  readonly digest: string
  readonly from: string
}

export type ParsedRegistryRequest =
  | { readonly request: RegistryRequest }
  | { readonly refused: RegistryError; readonly allow?: readonly string[] }

const MAX_PAGE = 1000
const MAX_TAGS = 10
const UPLOAD_ID = /^[a-zA-Z0-9][a-zA-Z0-9._=-]{0,127}$/
const READ = ['GET', 'HEAD']

/**
 * Parses method, path and query of a request below `/v2`, exactly as they are in the request line. Only `%3A` in the
 * last segment is decoded, because clients may encode the colon of a digest. Every other escape, dot segment, empty
 * segment or capital letter is refused by the grammar of names and references. Unknown query parameters are dropped;
 * the first of repeated parameters counts.
 * Source: OCI distribution-spec 1.1, "Endpoints".
 */
export function parseRegistryRequest(method: string, target: string): ParsedRegistryRequest {
  const [path = '', search = ''] = splitOnce(target, '?')
  const query = new URLSearchParams(search)
  if (path === '/v2' || path === '/v2/') return withMethod(method, READ, { kind: 'base' })
  if (!path.startsWith('/v2/')) return noEndpoint(method, path)
  const segments = path.slice('/v2/'.length).split('/')
  const last = (segments.at(-1) ?? '').replace(/%3a/i, ':')
  const [beforeLast, secondBeforeLast] = [segments.at(-2), segments.at(-3)]

  if (path === '/v2/_catalog') return withPage(method, query, { kind: 'catalog' })
  if (beforeLast === 'tags' && last === 'list') {
    return inRepository(segments.slice(0, -2), (repository) =>
      withPage(method, query, { kind: 'tags', repository }),
    )
  }
  if (beforeLast === 'manifests') {
    return inRepository(segments.slice(0, -2), (repository) => {
      const reference = parseReference(last)
      if (reference === undefined) return { refused: invalidReference(method, last) }
      const more = manifestQuery(method, query, reference)
      if ('refused' in more) return more
      return withMethod(method, [...READ, 'PUT', 'DELETE'], {
        kind: 'manifest',
        repository,
        reference,
        ...more,
      })
    })
  }
  if (beforeLast === 'referrers') {
    return withDigest(segments, last, (repository, digest) => {
      const artifactType = query.get('artifactType') ?? undefined
      const after = query.get('last') ?? undefined
      if (after !== undefined && !isDigest(after))
        return { refused: { code: 'DIGEST_INVALID', detail: after } }
      return withMethod(method, READ, { kind: 'referrers', repository, digest, artifactType, last: after })
    })
  }
  if (beforeLast === 'uploads' && secondBeforeLast === 'blobs') {
    return inRepository(segments.slice(0, -3), (repository) =>
      last === '' ? uploadStart(method, query, repository) : upload(method, query, repository, last),
    )
  }
  if (beforeLast === 'blobs') {
    return withDigest(segments, last, (repository, digest) =>
      withMethod(method, [...READ, 'DELETE'], { kind: 'blob', repository, digest }),
    )
  }
  return noEndpoint(method, path)
}

/**
 * The error for a reference that is neither a digest nor a tag. No manifest can have such a tag: reading or deleting it
 * is like any other unknown manifest, and pushing it is a client error.
 * Source: OCI distribution-spec 1.1.1, "Pulling manifests": a manifest that is not found is 404.
 */
function invalidReference(method: string, text: string): RegistryError {
  if (text.includes(':')) return { code: 'DIGEST_INVALID', detail: text }
  if (method === 'PUT') return { code: 'TAG_INVALID', detail: text }
  return { code: 'MANIFEST_UNKNOWN', detail: text }
}

/**
 * Parses the query of a manifest request: the tags of a PUT by digest, and whether a DELETE is forced.
 * Source: OCI distribution-spec main, "Pushing Manifests", `tag`: servers must accept at least 10.
 */
function manifestQuery(
  method: string,
  query: URLSearchParams,
  reference: Reference,
): { tags?: readonly string[]; force?: true } | { refused: RegistryError } {
  if (method === 'DELETE') return query.get('force') === 'true' ? { force: true } : {}
  if (method !== 'PUT' || 'tag' in reference) return {}
  const tags = [...new Set(query.getAll('tag'))]
  const invalid = tags.find((tag) => !isTag(tag))
  if (invalid !== undefined) return { refused: { code: 'TAG_INVALID', detail: invalid } }
  if (tags.length > MAX_TAGS) {
    const message = `a manifest can be pushed with at most ${MAX_TAGS} tags at once, not ${tags.length}`
    return { refused: { code: 'TAG_INVALID', status: 414, message } }
  }
  return tags.length === 0 ? {} : { tags }
}

/**
 * Parses the mount parameters of an upload; undefined if there are none. Without `from` it is an ordinary upload:
 * the client has to name the source repository.
 * Source: OCI distribution-spec 1.1, "Mounting a blob from another repository".
 */
export function parseMount(query: URLSearchParams): BlobMount | undefined | { refused: RegistryError } {
  const [digest, from] = [query.get('mount'), query.get('from')]
  if (digest === null || from === null) return undefined
  if (!isDigest(digest)) return { refused: { code: 'DIGEST_INVALID', detail: digest } }
  if (!isRepositoryName(from)) return { refused: { code: 'NAME_INVALID', detail: from } }
  return { digest, from }
}

function uploadStart(method: string, query: URLSearchParams, repository: string): ParsedRegistryRequest {
  const mount = parseMount(query)
  if (mount !== undefined && 'refused' in mount) return mount
  return withMethod(method, ['POST'], { kind: 'upload-start', repository, mount })
}

function upload(
  method: string,
  query: URLSearchParams,
  repository: string,
  id: string,
): ParsedRegistryRequest {
  if (!UPLOAD_ID.test(id)) return { refused: { code: 'BLOB_UPLOAD_UNKNOWN', detail: id } }
  const digest = query.get('digest') ?? undefined
  if (method === 'PUT' && (digest === undefined || !isDigest(digest))) {
    return { refused: { code: 'DIGEST_INVALID', detail: digest } }
  }
  const parameters = {
    state: query.get('_state') ?? undefined,
    binding: query.get('_binding') ?? undefined,
    digest: method === 'PUT' ? digest : undefined,
  }
  return withMethod(method, [...READ, 'PATCH', 'PUT', 'DELETE'], {
    kind: 'upload',
    repository,
    id,
    ...parameters,
  })
}

function withPage(method: string, query: URLSearchParams, request: object): ParsedRegistryRequest {
  const n = query.get('n')
  if (n !== null && !/^[0-9]+$/.test(n)) {
    const message = 'n must be a whole number of 0 or more'
    return { refused: { code: 'PAGINATION_NUMBER_INVALID', message, detail: { n } } }
  }
  const last = query.get('last') ?? undefined
  // No name contains NUL, and Postgres refuses it.
  if (last?.includes('\0')) {
    return { refused: { code: 'NAME_INVALID', message: 'last must not contain NUL', detail: { last } } }
  }
  const limits = {
    n: n === null ? undefined : Math.min(Number(n), MAX_PAGE),
    last,
  }
  return withMethod(method, READ, { ...request, ...limits })
}

function inRepository(
  components: readonly string[],
  then: (repository: string) => ParsedRegistryRequest,
): ParsedRegistryRequest {
  const name = components.join('/')
  return isRepositoryName(name) ? then(name) : { refused: { code: 'NAME_INVALID', detail: name } }
}

function withDigest(
  segments: readonly string[],
  digest: string,
  then: (repository: string, digest: string) => ParsedRegistryRequest,
): ParsedRegistryRequest {
  return inRepository(segments.slice(0, -2), (repository) =>
    isDigest(digest) ? then(repository, digest) : { refused: { code: 'DIGEST_INVALID', detail: digest } },
  )
}

function noEndpoint(method: string, path: string): ParsedRegistryRequest {
  return { refused: { code: 'UNSUPPORTED', status: 404, message: describeNoEndpoint(method, path) } }
}

/** Builds a request from its method and the parsed fields of its kind. */
function withMethod(method: string, allow: readonly string[], fields: object): ParsedRegistryRequest {
  if (!allow.includes(method)) return { refused: { code: 'UNSUPPORTED' }, allow }
  return { request: { ...fields, method } as RegistryRequest }
}

function splitOnce(text: string, separator: string): [string, string?] {
  const at = text.indexOf(separator)
  return at === -1 ? [text] : [text.slice(0, at), text.slice(at + 1)]
}
