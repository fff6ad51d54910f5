import type { RemovePorts } from './remove-ports.ts'
import type { RegistryClient } from '@registry-manager/registry-client'

export interface RemoveBlobsPorts {
  readonly registry: Pick<RegistryClient, 'headBlob' | 'deleteBlob'>
  readonly blobAliases: RemovePorts['blobAliases']
  readonly blobs: RemovePorts['blobs']
}

/** How many blobs are looked up and forgotten by one set of statements, and how many are deleted at once. */
const [PAGE, AT_ONCE] = [200, 8]

/**
 * Deletes blobs that are orphans, each under all of its names: the registry stores one that was pushed by a sha512
 * digest under that and under its sha256, and forgets each separately. Runs at most three statements for a page of
 * blobs. Returns the digests of those that the registry had; another one may belong to an upload in progress.
 */
export async function deleteBlobs(
  { registry, blobAliases, blobs }: RemoveBlobsPorts,
  repository: string,
  digests: readonly string[],
): Promise<ReadonlySet<string>> {
  const deleted = new Set<string>()
  for (let from = 0; from < digests.length; from += PAGE) {
    const page = digests.slice(from, from + PAGE)
    const aliases = await blobAliases.aliasesOfBlobs(repository, page)
    const forgotten: string[] = []
    const left = [...page]
    const work = async () => {
      for (let digest = left.shift(); digest !== undefined; digest = left.shift()) {
        const known = aliases.get(digest) ?? []
        // An alias is missing where image-manager did not answer after the upload: the registry knows it still.
        const isUnknown = known.length === 0 && digest.startsWith('sha512:')
        const canonical = isUnknown ? await registry.headBlob(repository, digest) : undefined
        const names = new Set([digest, ...known, ...(canonical === undefined ? [] : [canonical])])
        // The sha256 last: the registry finds the blob of a sha512 by it, and answers 500 where it is not there.
        for (const name of [...names].toSorted().toReversed()) {
          if (await registry.deleteBlob(repository, name)) deleted.add(digest)
        }
        if (deleted.has(digest)) forgotten.push(...names)
      }
    }
    await Promise.all(Array.from({ length: AT_ONCE }, work))
    const missed = page.filter((digest) => !deleted.has(digest))
    if (forgotten.length > 0) await blobAliases.forgetBlobs(repository, forgotten)
    if (missed.length > 0) await blobs.missBlobs(repository, missed)
  }
  return deleted
}

/** Deletes one blob for a client, whatever names it. Returns whether the registry had it. */
export async function deleteOneBlob(
  ports: RemoveBlobsPorts,
  repository: string,
  digest: string,
): Promise<boolean> {
  await ports.blobs.orphanBlobs(repository, [digest])
  const had = (await deleteBlobs(ports, repository, [digest])).has(digest)
  // Its upload may be in progress: then it must not be deleted when it arrives.
  if (!had) await ports.blobs.adoptOrphans(repository, [digest])
  return had
}
