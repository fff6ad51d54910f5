import type { TSchema } from 'typebox'
import { Type } from 'typebox'
import type { Artifact, Repository, Usage } from './browse-registry.ts'
import { BASE, formatTime } from './provider-format.ts'

/*
 * The registry, its repositories and its artifacts as JSON.
 * Source: the provider's public SDKs, `RegistryResponse`, `RepositoryRead`, `ArtifactRead`. Pushes are not counted:
 * the models require their number, so it is 0.
 */

/** The provider's registries have a name and a location. This installation is one registry. */
export const REGISTRY_NAME = 'registry-manager'
const LOCATION = 'local'
/** The first start creates the registry, no user does. */
const CREATOR = { createdBy: REGISTRY_NAME, createdByUserId: '00000000-0000-0000-0000-000000000000' }

const nullable = <Schema extends object>(schema: Schema) => Type.Union([schema, Type.Null()])
const string = Type.String()
const integer = Type.Integer()

export const RegistryBody = Type.Object({
  id: string,
  type: string,
  href: string,
  metadata: Type.Object({ createdBy: string, createdByUserId: string, createdDate: string, state: string }),
  properties: Type.Object({
    name: string,
    location: string,
    hostname: string,
    garbageCollectionSchedule: Type.Null(),
    storageUsage: Type.Object({ bytes: nullable(integer), updatedAt: nullable(string) }),
    features: Type.Object({ vulnerabilityScanning: Type.Object({ enabled: Type.Boolean() }) }),
  }),
})
export const RegistriesBody = Type.Object({
  id: string,
  type: string,
  href: string,
  items: Type.Array(RegistryBody),
  pagination: Type.Object({ limit: integer, token: string }),
  _links: Type.Object({ next: string, previous: string, self: string }),
})

const counted = { pullCount: integer, pushCount: integer, lastPulledAt: Type.Optional(string) }
export const RepositoryBody = Type.Object({
  id: string,
  type: string,
  href: string,
  metadata: Type.Object({ createdDate: string, lastPushedAt: string, artifactCount: integer, ...counted }),
  properties: Type.Object({ name: string }),
})
export const ArtifactBody = Type.Object({
  id: string,
  type: string,
  href: string,
  metadata: Type.Object({ createdDate: string, lastPushedAt: string, ...counted }),
  properties: Type.Object({
    repositoryName: string,
    digest: string,
    tags: Type.Array(string),
    mediaType: string,
  }),
})

/** Source: `RepositoryReadList`, `ArtifactReadList`. */
const listOf = <Item extends TSchema>(item: Item) =>
  Type.Object({
    id: string,
    type: string,
    href: string,
    items: Type.Array(item),
    offset: integer,
    limit: integer,
    _links: Type.Object({ prev: Type.Optional(string), self: string, next: Type.Optional(string) }),
  })
export const RepositoriesBody = listOf(RepositoryBody)
export const ArtifactsBody = listOf(ArtifactBody)

export function registryBody(
  { id, createdAt, usage }: { readonly id: string; readonly createdAt: Date; readonly usage: Usage },
  hostname: string,
) {
  const { bytes, updatedAt } = usage
  return {
    id,
    type: 'registry',
    href: registryPath(id),
    metadata: { ...CREATOR, createdDate: formatTime(createdAt), state: 'Running' },
    properties: {
      name: REGISTRY_NAME,
      location: LOCATION,
      hostname,
      garbageCollectionSchedule: null,
      storageUsage: { bytes, updatedAt: updatedAt && formatTime(new Date(updatedAt)) },
      features: { vulnerabilityScanning: { enabled: false } },
    },
  }
}

export function repositoryBody(registryId: string, repository: Repository) {
  const { name, createdAt, pushedAt, artifacts } = repository
  return {
    id: name,
    type: 'repository',
    href: repositoryPath(registryId, name),
    metadata: {
      createdDate: formatTime(new Date(createdAt)),
      lastPushedAt: formatTime(new Date(pushedAt)),
      artifactCount: artifacts,
      ...countsOf(repository),
    },
    properties: { name },
  }
}

export function artifactBody(registryId: string, artifact: Artifact) {
  const { repository, digest, mediaType, tags } = artifact
  const pushedAt = formatTime(new Date(artifact.pushedAt))
  return {
    id: digest,
    type: 'artifact',
    href: `${repositoryPath(registryId, repository)}/artifacts/${digest}`,
    metadata: { createdDate: pushedAt, lastPushedAt: pushedAt, ...countsOf(artifact) },
    properties: { repositoryName: repository, digest, tags, mediaType },
  }
}

/**
 * Fields of a repository or artifact about its pulls. The models have no `lastPulledAt` for a repository or artifact
 * that was never pulled.
 */
function countsOf({ pulls = 0, lastPulledAt = null }: Pick<Artifact, 'pulls' | 'lastPulledAt'>) {
  return {
    pullCount: pulls,
    pushCount: 0,
    ...(lastPulledAt !== null && { lastPulledAt: formatTime(new Date(lastPulledAt)) }),
  }
}

export function registryPath(id: string): string {
  return `${BASE}/registries/${id}`
}

/** A repository's name is one path segment: its slashes are percent-encoded. */
export function repositoryPath(registryId: string, name: string): string {
  return `${registryPath(registryId)}/repositories/${encodeURIComponent(name)}`
}
