import { Type } from 'typebox'
import {
  ArtifactBody,
  ArtifactsBody,
  REGISTRY_NAME,
  RegistriesBody,
  RegistryBody,
  RepositoriesBody,
  RepositoryBody,
} from './contents-json.ts'
import { listQuery, providerSchema, registryId } from './provider-format.ts'

/*
 * The schemas of the routes for registries, repositories and artifacts. The parameters of a path have no pattern: a
 * value that names nothing gets 404.
 */

export const DEFAULT_ORDER = '-lastPush'

const orderBy = Type.Optional(
  Type.String({
    default: DEFAULT_ORDER,
    description: '`name`, `lastPush` or `artifactCount`; a leading `-` reverses the order.',
  }),
)
const nameFilter = Type.Optional(Type.String({ description: 'Only names that contain this string.' }))
/** A list of artifacts. */
export const ListQuery = listQuery({ orderBy })
const repository = Type.String({
  description: 'The name of the repository, percent-encoded into one segment: `team%2Fapp`.',
  examples: ['team/app'],
})
const digest = Type.String({
  description: 'The digest of the manifest.',
  examples: [`sha256:${'0'.repeat(64)}`],
})
const OfRegistry = Type.Object({ registryId })
const OfRepository = Type.Object({ registryId, name: repository })

export const REGISTRIES_SCHEMAS = {
  registries: {
    ...providerSchema('registries', { 200: RegistriesBody }, 400),
    operationId: 'listRegistries',
    summary: 'List the registries',
    description: 'This installation is one registry.',
    querystring: listQuery({ 'filter.name': nameFilter }),
  },
  name: {
    ...providerSchema('registries', {
      200: Type.Null({
        description: `The name is taken: it is \`${REGISTRY_NAME}\`, compared case-insensitively.`,
      }),
      404: Type.Null({ description: 'The name is available.' }),
    }),
    operationId: 'checkRegistryName',
    summary: 'Check whether the name of a registry is taken',
    params: Type.Object({ name: Type.String({ examples: [REGISTRY_NAME] }) }),
  },
  registry: {
    ...providerSchema('registries', { 200: RegistryBody }, 404),
    operationId: 'getRegistry',
    summary: 'Get a registry',
    params: OfRegistry,
  },
  repositories: {
    ...providerSchema('registries', { 200: RepositoriesBody }, 400, 404),
    operationId: 'listRepositories',
    summary: 'List the repositories of a registry',
    params: OfRegistry,
    querystring: listQuery({ orderBy, 'filter.name': nameFilter }),
  },
  repository: {
    ...providerSchema('registries', { 200: RepositoryBody }, 404),
    operationId: 'getRepository',
    summary: 'Get a repository',
    params: OfRepository,
  },
  artifacts: {
    ...providerSchema('registries', { 200: ArtifactsBody }, 400, 404),
    operationId: 'listArtifacts',
    summary: 'List the artifacts of a registry',
    params: OfRegistry,
    querystring: ListQuery,
  },
  artifactsOfRepository: {
    ...providerSchema('registries', { 200: ArtifactsBody }, 400, 404),
    operationId: 'listArtifactsOfRepository',
    summary: 'List the artifacts of a repository',
    params: OfRepository,
    querystring: ListQuery,
  },
  artifact: {
    ...providerSchema('registries', { 200: ArtifactBody }, 404),
    operationId: 'getArtifact',
    summary: 'Get an artifact',
    params: Type.Object({ registryId, name: repository, digest }),
  },
}
