import type { IndexChanges } from '../adapters/index-changes.ts'
import type { RegistryClient } from '../adapters/registry-client.ts'

export interface RemoveBlobPorts {
  readonly registry: Pick<RegistryClient, 'headBlob' | 'deleteBlob'>
  readonly index: Pick<IndexChanges, 'blobAliases' | 'forgetBlob'>
}

/**
 * Deletes a blob under all of its names: the registry stores one that was pushed by a sha512 digest under that and
 * under its sha256, and forgets each by itself. Answers whether there was one.
 */
export async function deleteBlob(
  { registry, index }: RemoveBlobPorts,
  repository: string,
  digest: string,
): Promise<boolean> {
  const aliases = await index.blobAliases(repository, digest)
  // Never written down, for the database was away: the registry knows it still.
  const canonical =
    aliases.length === 0 && digest.startsWith('sha512:')
      ? await registry.headBlob(repository, digest)
      : undefined
  const names = new Set([digest, ...aliases, ...(canonical === undefined ? [] : [canonical])])
  let was = false
  // The sha256 last: the registry finds the blob of a sha512 by it, and answers 500 where it is not there.
  for (const name of [...names].toSorted().toReversed()) {
    was = (await registry.deleteBlob(repository, name)) || was
  }
  if (was) await index.forgetBlob(repository, digest, [...names])
  return was
}
