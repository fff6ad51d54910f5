import type { RegistryClient } from '@registry-manager/registry-client'
import type { ManifestReference } from '../index/manifest.ts'
import type { Push } from '../push/push.ts'
import type { TrashEntry } from './trash-entry.ts'
import { trashRepository } from './trash-entry.ts'

export interface RestoreBlobsPorts {
  readonly registry: Pick<RegistryClient, 'headBlob' | 'mountBlob' | 'copyBlob'>
  readonly push: Pick<Push, 'announceBlob' | 'recordBlobAlias'>
  readonly blobAliases: {
    aliasesOfBlobs(
      repository: string,
      digests: readonly string[],
    ): Promise<ReadonlyMap<string, readonly string[]>>
  }
}

/** Maximum number of digests of mounted blobs that are kept in memory. */
const MAX_REMEMBERED = 50_000

/**
 * Mounts the blobs of a manifest in the trash into its original repository. A blob with a sha512 is uploaded again,
 * because the registry cannot mount it by that digest. Returns false if a blob is missing.
 */
export async function restoreBlobs(
  ports: RestoreBlobsPorts,
  entry: TrashEntry,
  blobs: readonly ManifestReference[],
  mounted: Set<string>,
): Promise<boolean> {
  for (const { digest, isElsewhere } of blobs) {
    if (mounted.has(digest)) continue
    if (!(await restoreBlob(ports, entry, digest)) && isElsewhere !== true) return false
    if (mounted.size >= MAX_REMEMBERED) mounted.clear()
    mounted.add(digest)
  }
  return true
}

async function restoreBlob(
  { registry, push, blobAliases }: RestoreBlobsPorts,
  entry: TrashEntry,
  digest: string,
): Promise<boolean> {
  const { repository } = entry
  const source = trashRepository(entry)
  // False while the repository is being deleted. The restore of the manifest then ends, too.
  if (!(await push.announceBlob({ repository, digest }))) return false
  if (!digest.startsWith('sha512:')) {
    if (await registry.mountBlob(repository, digest, source)) return true
    return (await registry.headBlob(repository, digest)) !== undefined
  }
  const names = (await blobAliases.aliasesOfBlobs(source, [digest])).get(digest) ?? []
  const sha256 = names.find((name) => name.startsWith('sha256:'))
  if (sha256 === undefined) return false
  await push.recordBlobAlias({ repository, sha512: digest, sha256 })
  return registry.copyBlob(repository, digest, { repository: source, digest: sha256 })
}
