import { Type } from 'typebox'

/*
 * Schemas of the internal API through which auth-service reads repositories and artifacts from image-manager, for the
 * provider's API. Times are RFC 3339.
 */

/** The number of pulls, and the time of the last one. Absent in responses of a previous version. */
const PULLED = {
  pulls: Type.Optional(Type.Integer()),
  lastPulledAt: Type.Optional(Type.Union([Type.String(), Type.Null()])),
}

/** `GET /internal/contents/repositories`. */
export const RepositoryContents = Type.Object({
  name: Type.String(),
  createdAt: Type.String(),
  pushedAt: Type.String(),
  /** Number of manifests. */
  artifacts: Type.Integer(),
  ...PULLED,
})
export const RepositoriesContents = Type.Object({
  repositories: Type.Array(RepositoryContents),
  total: Type.Integer(),
})

/** `GET /internal/contents/artifacts`. */
export const ArtifactContents = Type.Object({
  repository: Type.String(),
  digest: Type.String(),
  mediaType: Type.String(),
  tags: Type.Array(Type.String()),
  pushedAt: Type.String(),
  ...PULLED,
})
export const ArtifactsContents = Type.Object({
  artifacts: Type.Array(ArtifactContents),
  total: Type.Integer(),
})

/** `GET /internal/contents/usage`: bytes of all manifests, configs and layers in the index; null until counted. */
export const UsageResponse = Type.Object({
  bytes: Type.Union([Type.Integer(), Type.Null()]),
  updatedAt: Type.Union([Type.String(), Type.Null()]),
})
