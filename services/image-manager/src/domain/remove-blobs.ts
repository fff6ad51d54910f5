import type { IndexChanges } from '../adapters/index-changes.ts'
import type { RegistryClient } from '../adapters/registry-client.ts'

export interface RemoveBlobsPorts {
  readonly registry: Pick<RegistryClient, 'headBlob' | 'deleteBlob'>
  readonly index: Pick<IndexChanges, 'goOnDeleting' | 'aliasesOfBlobs' | 'forgetBlobs'>
}

/** How many blobs are looked up and forgotten by one statement, and how many are deleted at once. */
const [PAGE, AT_ONCE] = [200, 8]

/**
 * Deletes blobs of a repository that is being deleted, each under all of its names. Three statements for a page of
 * them. False where the deletion is over by now: then what is under that name is not to be deleted.
 */
export async function deleteBlobs(
  { registry, index }: RemoveBlobsPorts,
  { id, name }: { readonly id: string; readonly name: string },
  digests: readonly string[],
): Promise<boolean> {
  for (let from = 0; from < digests.length; from += PAGE) {
    if (!(await index.goOnDeleting(id))) return false
    const page = digests.slice(from, from + PAGE)
    const aliases = await index.aliasesOfBlobs(name, page)
    const left = [...page]
    const work = async () => {
      for (let digest = left.shift(); digest !== undefined; digest = left.shift()) {
        const known = aliases.get(digest) ?? []
        const isUnknown = known.length === 0 && digest.startsWith('sha512:')
        const canonical = isUnknown ? await registry.headBlob(name, digest) : undefined
        const names = new Set([digest, ...known, ...(canonical === undefined ? [] : [canonical])])
        // The sha256 last: the registry finds the blob of a sha512 by it, and answers 500 where it is not there.
        for (const one of [...names].toSorted().toReversed()) await registry.deleteBlob(name, one)
      }
    }
    await Promise.all(Array.from({ length: AT_ONCE }, work))
    await index.forgetBlobs(name, page)
  }
  return true
}
