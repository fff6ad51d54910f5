import { REPOSITORY_ACTIONS } from '@registry-manager/oci'
import { Type } from 'typebox'
import { ROLES } from './principal.ts'
import { GRANT_ROLES } from './rights.ts'

/*
 * Schemas of the internal APIs: server and client of each endpoint share one schema.
 */

const closed = { additionalProperties: false }

/** Access as in a token's `access` claim. */
export const AccessList = Type.Array(
  Type.Object({ type: Type.String(), name: Type.String(), actions: Type.Array(Type.String()) }, closed),
  { maxItems: 100 },
)

/** `POST /internal/service-tokens`: an access token for a service itself. */
export const ServiceTokenRequest = Type.Object(
  {
    service: Type.String({ pattern: '^[a-z-]+$', 'x-rule': 'must be lower-case letters and -' }),
    access: AccessList,
  },
  closed,
)

/** A token and its lifetime in seconds. */
export const IssuedToken = Type.Object({ token: Type.String(), expiresIn: Type.Integer() })

/** `POST /internal/token-exchanges`: exchanges Basic credentials for an access token. */
export const ExchangeRequest = Type.Object(
  {
    username: Type.String(),
    password: Type.String(),
    address: Type.String(),
    access: Type.Union([AccessList, Type.Null()]),
  },
  closed,
)

export const ExchangeResponse = Type.Union([
  Type.Object({
    outcome: Type.Literal('issued'),
    token: Type.String(),
    expiresIn: Type.Integer(),
    /** Issued from the credential cache while the database is unavailable: permits pulls only. */
    offline: Type.Optional(Type.Boolean()),
  }),
  /** `reason`: the reason why right credentials are refused, such as a condition that does not hold. */
  Type.Object({ outcome: Type.Literal('refused'), reason: Type.Optional(Type.String()) }),
  Type.Object({ outcome: Type.Literal('throttled'), retryAfterSeconds: Type.Integer() }),
  Type.Object({ outcome: Type.Literal('unavailable'), part: Type.String() }),
])

/** Conditions. A previous version leaves out the tags. */
const Conditions = Type.Optional(
  Type.Object({
    networks: Type.Optional(Type.Array(Type.String())),
    notBefore: Type.Optional(Type.String()),
    notAfter: Type.Optional(Type.String()),
    tags: Type.Optional(Type.String()),
  }),
)

/** Grants that count for an account. Absent in responses of a previous version. */
const Grants = Type.Optional(
  Type.Array(
    Type.Object({
      id: Type.String(),
      repositories: Type.String(),
      /** Absent in responses of a previous version, too: an owner then manages nothing at image-manager. */
      role: Type.Optional(Type.Enum([...GRANT_ROLES])),
      actions: Type.Array(Type.Enum([...REPOSITORY_ACTIONS])),
      conditions: Conditions,
    }),
  ),
)

/**
 * `GET /internal/accounts/{uid}`: role and namespaces of a user, or scopes of a registry token, and grants.
 * `GET /internal/accounts/{uid}/via/{id}`: the same for a personal token that acts for a user.
 */
export const AccountResponse = Type.Union([
  Type.Object({
    kind: Type.Literal('user'),
    role: Type.Enum([...ROLES]),
    namespaces: Type.Array(Type.String()),
    grants: Grants,
    generation: Type.Integer(),
    /** The scopes that limit a personal token; absent if it may do everything that its owner may do. */
    limitedTo: Type.Optional(AccessList),
    /** The conditions of that personal token. */
    conditions: Conditions,
  }),
  Type.Object({
    kind: Type.Literal('token'),
    scopes: AccessList,
    grants: Grants,
    conditions: Conditions,
    generation: Type.Integer(),
  }),
])

/** `POST /internal/scopes` of image-manager: which of the named repositories are global. */
export const ScopesRequest = Type.Object({ names: Type.Array(Type.String(), { maxItems: 100 }) }, closed)
export const ScopesResponse = Type.Object({
  global: Type.Array(Type.String()),
  /** By name, for access tokens: the repository's number and the number of times that it has ceased to be global. */
  marks: Type.Optional(Type.Record(Type.String(), Type.Tuple([Type.Integer(), Type.Integer()]))),
})

/** `GET /internal/ended-globals` of image-manager: lowest valid generations of repositories, by repository number. */
export const EndedGlobalScopes = Type.Object({ repositories: Type.Record(Type.String(), Type.Integer()) })

/**
 * `POST /internal/admissions` of image-manager announces a manifest. `admitted`: it is a pending push now (an
 * "admission" by its old name), and registry-proxy may send it to the registry: under the push's tag, or else under
 * `digest`. `kept`: it is index-only, because the registry cannot store it. `refused`: the push is invalid.
 */
export const AnnounceResponse = Type.Union([
  Type.Object({ outcome: Type.Literal('admitted'), id: Type.String(), digest: Type.String() }),
  Type.Object({
    outcome: Type.Literal('kept'),
    digest: Type.String(),
    subject: Type.Union([Type.String(), Type.Null()]),
  }),
  Type.Object({
    outcome: Type.Literal('refused'),
    // The previous version's proxy does not know DENIED, and responds 503.
    code: Type.Enum([
      'DENIED',
      'DIGEST_INVALID',
      'MANIFEST_BLOB_UNKNOWN',
      'MANIFEST_INVALID',
      'TOOMANYREQUESTS',
    ]),
    /** HTTP status; the code's own when left out. */
    status: Type.Optional(Type.Integer()),
    message: Type.String(),
    /** The detail of the error that the client gets. */
    detail: Type.Optional(
      Type.Unsafe<Readonly<Record<string, unknown>>>({ type: 'object', additionalProperties: true }),
    ),
  }),
])

/** `POST /internal/admissions/{id}/record`: the outcome of a pending push; null if the registry has no manifest. */
export const RecordResponse = Type.Object({
  digest: Type.Union([Type.String(), Type.Null()]),
  subject: Type.Union([Type.String(), Type.Null()]),
})

/** `GET /internal/manifests`: a manifest of the index. `kept`: it is index-only. */
export const ManifestResponse = Type.Object({
  digest: Type.String(),
  mediaType: Type.String(),
  kept: Type.Boolean(),
  /** Base64. */
  raw: Type.String(),
})

/** `POST /internal/manifest-descriptions` of image-manager: the manifests that tags and digests name. */
export const NamedManifests = Type.Object(
  {
    manifests: Type.Array(Type.Object({ repository: Type.String(), reference: Type.String() }, closed), {
      maxItems: 100,
    }),
  },
  closed,
)
/** The manifests that the index has. `position` is the position of a manifest in the list of the request. */
export const ManifestDescriptions = Type.Object({
  found: Type.Array(
    Type.Object({
      position: Type.Integer(),
      digest: Type.String(),
      mediaType: Type.String(),
      indexOnly: Type.Boolean(),
    }),
  ),
})

/** `POST /internal/blob-aliases` of image-manager records the sha256 digest of a blob that was pushed by sha512. */
export const BlobAlias = Type.Object(
  { repository: Type.String(), sha512: Type.String(), sha256: Type.String() },
  closed,
)
export const BlobAliasResponse = Type.Object({ known: Type.Literal(true) })

/** `POST /internal/announced-blobs` of image-manager: the proxy authorized an upload or a mount of a blob. */
export const AnnouncedBlob = Type.Object({ repository: Type.String(), digest: Type.String() }, closed)
export const AnnouncedBlobResponse = Type.Object({ known: Type.Literal(true) })

/**
 * `DELETE /internal/manifests` and `/internal/blobs` of image-manager. `deleted` is false if nothing was found, or if
 * `inUseBy` names an image index that references the manifest; `tag` is one of the image index's own tags, or null.
 * `immutable` names an immutable tag that needs the manifest or blob, and the rule that protects the tag.
 */
export const DeletionResponse = Type.Object({
  deleted: Type.Boolean(),
  inUseBy: Type.Optional(
    Type.Object({ digest: Type.String(), tag: Type.Union([Type.String(), Type.Null()]) }),
  ),
  immutable: Type.Optional(
    Type.Object({
      tag: Type.String(),
      rule: Type.String(),
      namespace: Type.String(),
      message: Type.String(),
    }),
  ),
})

/** `GET /internal/catalog` and `GET /internal/tags`: a page of names. `more`: further pages follow. */
export const NamesPage = Type.Object({ names: Type.Array(Type.String()), more: Type.Boolean() })

/**
 * `GET /internal/referrers`: a page of descriptors, sorted by digest. `next`: the digest after which the next page
 * starts. Source: OCI distribution-spec 1.1, "Listing Referrers".
 */
export const ReferrersResponse = Type.Object({
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

/** `GET /internal/revocations`: lowest valid generations, by the id of the account, trust rule or personal token. */
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
