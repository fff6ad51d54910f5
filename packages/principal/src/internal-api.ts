import { Type } from 'typebox'
import { ROLES } from './role.ts'

/*
 * What the services ask each other on their internal ports: each shape written once, for the one that answers
 * and the ones that ask.
 */

const closed = { additionalProperties: false }

/** Access as in a token's `access` claim. */
export const AccessList = Type.Array(
  Type.Object({ type: Type.String(), name: Type.String(), actions: Type.Array(Type.String()) }, closed),
  { maxItems: 100 },
)

/** `POST /internal/service-tokens`: a token that a service works with. */
export const ServiceTokenRequest = Type.Object(
  { service: Type.String({ pattern: '^[a-z-]+$' }), access: AccessList },
  closed,
)

/** A token and its life in seconds. */
export const IssuedToken = Type.Object({ token: Type.String(), expiresIn: Type.Integer() })

/** `POST /internal/token-exchanges`: a token for somebody's credentials. */
export const ExchangeRequest = Type.Object(
  {
    username: Type.String(),
    password: Type.String(),
    address: Type.String(),
    access: Type.Union([AccessList, Type.Null()]),
  },
  closed,
)

export const ExchangeAnswer = Type.Union([
  Type.Object({
    outcome: Type.Literal('issued'),
    token: Type.String(),
    expiresIn: Type.Integer(),
    /** Issued from memory while the database is away: it only pulls. */
    offline: Type.Optional(Type.Boolean()),
  }),
  Type.Object({ outcome: Type.Literal('refused') }),
  Type.Object({ outcome: Type.Literal('throttled'), retryAfterSeconds: Type.Integer() }),
  Type.Object({ outcome: Type.Literal('unavailable'), part: Type.String() }),
])

/** `GET /internal/accounts/{uid}`: who an account is, or what a registry token may do. */
export const AccountAnswer = Type.Union([
  Type.Object({
    kind: Type.Literal('user'),
    role: Type.Enum([...ROLES]),
    namespaces: Type.Array(Type.String()),
    generation: Type.Integer(),
  }),
  Type.Object({ kind: Type.Literal('token'), scopes: AccessList, generation: Type.Integer() }),
])

/** `POST /internal/scopes` of image-manager: those of the names that are global. */
export const ScopesRequest = Type.Object({ names: Type.Array(Type.String(), { maxItems: 100 }) }, closed)
export const ScopesAnswer = Type.Object({
  global: Type.Array(Type.String()),
  /** By name: what a token says of the repository, its number and how often it ceased to be global. */
  marks: Type.Optional(Type.Record(Type.String(), Type.Tuple([Type.Integer(), Type.Integer()]))),
})

/** `GET /internal/ended-globals` of image-manager: the least living generation of global repositories by number. */
export const EndedGlobals = Type.Object({ repositories: Type.Record(Type.String(), Type.Integer()) })

/**
 * `POST /internal/admissions` of image-manager: a manifest may be pushed, under that digest where it is not by a
 * tag; or it is kept, for the registry could not take it; or it is refused.
 */
export const AnnounceAnswer = Type.Union([
  Type.Object({ outcome: Type.Literal('admitted'), id: Type.String(), digest: Type.String() }),
  Type.Object({
    outcome: Type.Literal('kept'),
    digest: Type.String(),
    subject: Type.Union([Type.String(), Type.Null()]),
  }),
  Type.Object({
    outcome: Type.Literal('refused'),
    code: Type.Enum(['DIGEST_INVALID', 'MANIFEST_BLOB_UNKNOWN', 'MANIFEST_INVALID', 'TOOMANYREQUESTS']),
    /** HTTP status; the code's own when left out. */
    status: Type.Optional(Type.Integer()),
    message: Type.String(),
  }),
])

/** `POST /internal/admissions/{id}/record`: what the registry has of it; null where it has nothing. */
export const RecordAnswer = Type.Object({
  digest: Type.Union([Type.String(), Type.Null()]),
  subject: Type.Union([Type.String(), Type.Null()]),
})

/** `GET /internal/manifests`: a manifest of the index. `kept`: the registry has it not. */
export const ManifestAnswer = Type.Object({
  digest: Type.String(),
  mediaType: Type.String(),
  kept: Type.Boolean(),
  /** Base64. */
  raw: Type.String(),
})

/** `POST /internal/blob-aliases`: a blob was pushed by a sha512 digest. */
export const BlobAlias = Type.Object(
  { repository: Type.String(), sha512: Type.String(), sha256: Type.String() },
  closed,
)
export const BlobAliasAnswer = Type.Object({ known: Type.Literal(true) })

/** `POST /internal/announced-blobs` of image-manager: an upload or a mount of a blob was authorized. */
export const AnnouncedBlob = Type.Object({ repository: Type.String(), digest: Type.String() }, closed)
export const AnnouncedBlobAnswer = Type.Object({ known: Type.Literal(true) })

/**
 * `DELETE /internal/manifests` and `/internal/blobs`: whether there was what was to be deleted. `inUseBy`: an index
 * that names the manifest, and one of its tags; then nothing was deleted.
 */
export const RemovalAnswer = Type.Object({
  deleted: Type.Boolean(),
  inUseBy: Type.Optional(
    Type.Object({ digest: Type.String(), tag: Type.Union([Type.String(), Type.Null()]) }),
  ),
})

/** `GET /internal/catalog` and `GET /internal/tags`: a page of names, and whether more follow. */
export const NamesPage = Type.Object({ names: Type.Array(Type.String()), more: Type.Boolean() })

/**
 * `GET /internal/referrers`: a page of descriptors, in the order of their digests, and the digest that the next page
 * comes after. Source: OCI distribution-spec 1.1, "Listing Referrers".
 */
export const ReferrersAnswer = Type.Object({
  next: Type.Optional(Type.String()),
  manifests: Type.Array(
    Type.Object({
      mediaType: Type.String(),
      digest: Type.String(),
      size: Type.Integer(),
      artifactType: Type.Optional(Type.String()),
      annotations: Type.Optional(Type.Record(Type.String(), Type.String())),
    }),
  ),
})

/** `GET /internal/revocations`: least living generations by account id. */
export const Revocations = Type.Object({ accounts: Type.Record(Type.String(), Type.Integer()) })

/** `GET /.well-known/jwks.json`. Source: RFC 7517 §5. */
export const Jwks = Type.Object({
  keys: Type.Array(
    Type.Object({
      kid: Type.String(),
      kty: Type.Literal('EC'),
      crv: Type.Literal('P-256'),
      x: Type.String(),
      y: Type.String(),
    }),
  ),
})
