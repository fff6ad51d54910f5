import type { Database } from '@registry-manager/database'
import type { Reference } from '@registry-manager/oci'
import type { ConditionContext, RightsQuery } from '@registry-manager/principal'
import { createBlobAliasesRepository } from './blob-aliases-repository.ts'
import { createGlobalScopeRepository } from './global-scope-repository.ts'
import type { GlobalScopePorts } from './global-scope.ts'
import { createGlobalScope } from './global-scope.ts'
import type { ListCatalogPorts, ListNamespacesPorts, ListTagsPorts } from './list-names.ts'
import { listCatalog, listNamespaces, listTags } from './list-names.ts'
import type { ManageRepositoriesPorts } from './manage-repositories.ts'
import { createManageRepositories } from './manage-repositories.ts'
import { createManifestLookupRepository } from './manifest-lookup-repository.ts'
import { createManifestSizesRepository } from './manifest-sizes-repository.ts'
import { createManifestsRepository } from './manifests-repository.ts'
import type { DescribeManifestsPorts, ReadManifestPorts } from './read-manifest.ts'
import { readManifest } from './read-manifest.ts'
import type { FindReferrersPorts } from './referrers.ts'
import { findReferrers } from './referrers.ts'
import { createRepositoriesRepository } from './repositories-repository.ts'
import type { PageRequest } from './repository.ts'
import { createTaggedManifestsRepository } from './tagged-manifests-repository.ts'
import { createTagsRepository } from './tags-repository.ts'
import { createVisibleRepositoriesRepository } from './visible-repositories-repository.ts'

/** The repository objects that query the index, under the names that use cases give to their ports. */
export function createIndexRepositories(db: Database) {
  return {
    blobAliases: createBlobAliasesRepository(db),
    globalScope: createGlobalScopeRepository(db),
    manifestLookup: createManifestLookupRepository(db),
    manifestSizes: createManifestSizesRepository(db),
    manifests: createManifestsRepository(db),
    repositories: createRepositoriesRepository(db),
    taggedManifests: createTaggedManifestsRepository(db),
    tags: createTagsRepository(db),
    visibleRepositories: createVisibleRepositoriesRepository(db),
  }
}

export type IndexPorts = ManageRepositoriesPorts &
  ReadManifestPorts &
  DescribeManifestsPorts &
  ListCatalogPorts &
  ListNamespacesPorts &
  ListTagsPorts &
  FindReferrersPorts &
  GlobalScopePorts

/** The use cases of the index routes. */
export function createIndex(ports: IndexPorts) {
  return {
    manageRepositories: createManageRepositories(ports),
    readManifest: (repository: string, reference: Reference) => readManifest(ports, repository, reference),
    describeManifests: ports.manifestLookup.describeManifests,
    listCatalog: (reader: RightsQuery, page: PageRequest, context: ConditionContext) =>
      listCatalog(ports, reader, page, context),
    listNamespaces: (page: PageRequest) => listNamespaces(ports, page),
    listTags: (repository: string, page: PageRequest) => listTags(ports, repository, page),
    findReferrers: (
      repository: string,
      digest: string,
      options: { readonly artifactType?: string; readonly after?: string },
    ) => findReferrers(ports, repository, digest, options),
    globalScope: createGlobalScope(ports),
  }
}
