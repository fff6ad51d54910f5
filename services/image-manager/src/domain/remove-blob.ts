import type { IndexChanges } from '../adapters/index-changes.ts'
import type { RegistryClient } from '../adapters/registry-client.ts'

export interface RemoveBlobPorts {
  readonly registry: Pick<RegistryClient, 'headBlob' | 'deleteBlob'>
  readonly index: Pick<IndexChanges, 'blobAliases' | 'forgetBlob'>
}

/** Deletes one blob for a client, whatever names it. Answers whether there was one. */
export async function deleteOneBlob(
  ports: RemoveBlobPorts & { readonly index: Pick<IndexChanges, 'orphanBlobs' | 'adoptOrphans'> },
  repository: string,
  digest: string,
): Promise<boolean> {
  await ports.index.orphanBlobs(repository, [digest])
  const was = await deleteBlob(ports, repository, digest)
  // It may be on its way, and is not to be deleted when it comes.
  if (!was) await ports.index.adoptOrphans(repository, [digest])
  return was
}

/**
 * Deletes a blob, which is an orphan, under all of its names: the registry stores one that was pushed by a sha512 digest under that and
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
