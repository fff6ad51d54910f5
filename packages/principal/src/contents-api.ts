import { Type } from 'typebox'

/*
 * What auth-service asks of image-manager for the provider's API: which repositories there are, and what is in them.
 * Times are RFC 3339.
 */

/** `GET /internal/contents/repositories`. */
export const RepositoryContents = Type.Object({
  name: Type.String(),
  createdAt: Type.String(),
  pushedAt: Type.String(),
  /** How many manifests it holds. */
  artifacts: Type.Integer(),
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
})
export const ArtifactsContents = Type.Object({
  artifacts: Type.Array(ArtifactContents),
  total: Type.Integer(),
})

/** `GET /internal/contents/usage`: bytes of all manifests, configs and layers, as far as the index knows. */
export const UsageAnswer = Type.Object({
  bytes: Type.Union([Type.Integer(), Type.Null()]),
  updatedAt: Type.Union([Type.String(), Type.Null()]),
})
