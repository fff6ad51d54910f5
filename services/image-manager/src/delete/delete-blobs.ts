import type { RegistryClient } from '@registry-manager/registry-client'

export interface DeleteBlobsPorts {
  readonly registry: Pick<RegistryClient, 'headBlob' | 'deleteBlob'>
  readonly blobAliases: {
    aliasesOfBlobs(
      repository: string,
      digests: readonly string[],
    ): Promise<ReadonlyMap<string, readonly string[]>>
    /** Deletes the rows of blobs under all their names; not those of blobs that were announced again. */
    forgetBlobs(repository: string, names: readonly string[]): Promise<void>
  }
  readonly blobs: {
    dropMissingOrphans(repository: string, digests: readonly string[], uploadSeconds: number): Promise<void>
  }
}

export interface DeleteOneBlobPorts extends DeleteBlobsPorts {
  readonly blobs: DeleteBlobsPorts['blobs'] & {
    markOrphans(repository: string, digests: readonly string[]): Promise<void>
    unmarkOrphans(repository: string, digests: readonly string[]): Promise<void>
  }
}

/** The longest time between the authorization of an upload and its end, in seconds. */
export const UPLOAD_SECONDS = 24 * 3600

/** Number of blobs that one set of statements covers. */
const PAGE_SIZE = 200
/** Number of blobs that are deleted from the registry at the same time. */
const CONCURRENCY = 8

/**
 * Deletes blobs from the registry under all of their names. The registry stores a blob that was pushed by a sha512
 * digest under that digest and under its sha256, and deletes each name separately. Runs at most four statements for
 * each page of blobs. Returns the digests that the registry had. Any other digest may belong to an upload in progress.
 */
export async function deleteBlobs(
  { registry, blobAliases, blobs }: DeleteBlobsPorts,
  repository: string,
  digests: readonly string[],
): Promise<ReadonlySet<string>> {
  const deleted = new Set<string>()
  for (let from = 0; from < digests.length; from += PAGE_SIZE) {
    const page = digests.slice(from, from + PAGE_SIZE)
    const aliases = await blobAliases.aliasesOfBlobs(repository, page)
    const deletedNames: string[] = []
    const queue = [...page]
    const deleteQueued = async () => {
      for (let digest = queue.shift(); digest !== undefined; digest = queue.shift()) {
        const recorded = aliases.get(digest) ?? []
        // The alias is missing if image-manager was unavailable when the upload ended. The registry can resolve it.
        const isUnresolved = recorded.length === 0 && digest.startsWith('sha512:')
        const canonical = isUnresolved ? await registry.headBlob(repository, digest) : undefined
        const names = new Set([digest, ...recorded, ...(canonical === undefined ? [] : [canonical])])
        // The sha256 comes last: the registry resolves a sha512 by it, and responds 500 once it is deleted.
        for (const name of [...names].toSorted().toReversed()) {
          if (await registry.deleteBlob(repository, name)) deleted.add(digest)
        }
        if (deleted.has(digest)) deletedNames.push(...names)
      }
    }
    await Promise.all(Array.from({ length: CONCURRENCY }, deleteQueued))
    const missing = page.filter((digest) => !deleted.has(digest))
    if (deletedNames.length > 0) await blobAliases.forgetBlobs(repository, deletedNames)
    if (missing.length > 0) await blobs.dropMissingOrphans(repository, missing, UPLOAD_SECONDS)
  }
  return deleted
}

/** Deletes one blob for a client, even if manifests reference it. Returns whether the registry had the blob. */
export async function deleteOneBlob(
  ports: DeleteOneBlobPorts,
  repository: string,
  digest: string,
): Promise<boolean> {
  await ports.blobs.markOrphans(repository, [digest])
  const deleted = await deleteBlobs(ports, repository, [digest])
  if (deleted.has(digest)) return true
  // The upload of this blob may be in progress. The blob must not be deleted after it arrives.
  await ports.blobs.unmarkOrphans(repository, [digest])
  return false
}
