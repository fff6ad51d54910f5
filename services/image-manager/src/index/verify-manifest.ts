import type { IndexChanges, ManifestEnd } from './index-changes.ts'
import type { RegistryClient } from '@registry-manager/registry-client'

export interface ConfirmPorts {
  readonly registry: Pick<RegistryClient, 'headManifest'>
  readonly index: Pick<IndexChanges, 'manifestRevision' | 'removeManifest'>
}

/**
 * Whether the registry has a manifest. One that it has no more is taken from the index, unless somebody wrote it
 * down since before the registry was asked: they look after it. `reason`: why it may be gone.
 */
export async function verifyManifest(
  { registry, index }: ConfirmPorts,
  repository: string,
  digest: string,
  reason: ManifestEnd = 'lost',
): Promise<boolean> {
  const revision = await index.manifestRevision(repository, digest)
  if ((await registry.headManifest(repository, digest)) !== undefined) return true
  if (revision !== undefined) await index.removeManifest(repository, digest, revision, reason)
  return false
}
