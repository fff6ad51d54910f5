import type { PendingPush, PendingFacts } from './pending-pushes-repository.ts'
import type { RegistryClient } from '@registry-manager/registry-client'
import type { ManifestReference } from '../index/manifest.ts'
import { recordPendingPush } from './record.ts'
import type { RemovePorts } from '../delete/delete.ts'
import { deleteManifest } from '../delete/delete.ts'

/** How many blobs are looked for at once. */
const AT_ONCE = 8

/**
 * Writes down what became of an admitted manifest, as `recordPendingPush` does. Where its repository was deleted
 * between the registry's taking it and now, the blobs that it names may be gone with the rest: then it goes, too.
 * Looked at only once it is written down, so that a deletion which begins later finds it.
 */
export async function recordPush(
  ports: RemovePorts,
  admission: PendingPush,
): Promise<PendingFacts | undefined> {
  const manifest = await recordPendingPush(ports, admission)
  const { repository, admittedAt } = admission
  if (manifest === undefined || !(await ports.index.isNewSince(repository, admittedAt))) return manifest
  if (await isWhole(ports.registry, repository, manifest)) return manifest
  await deleteManifest(ports, repository, manifest.digest, { undone: true })
  return undefined
}

/**
 * Whether the registry has all that a manifest names, as it had when it took it. Layers that are had elsewhere need not
 * be here. What the registry has and cannot serve is there: distribution answers 500 for a blob that is asked for as a
 * manifest, where an index gives a blob a manifest's type.
 */
async function isWhole(
  registry: RegistryClient,
  repository: string,
  { references }: PendingFacts,
): Promise<boolean> {
  const named = references.filter(({ isElsewhere }) => isElsewhere !== true)
  const look = async ({ digest, kind }: ManifestReference) =>
    kind === 'manifest'
      ? registry.hasManifest(repository, digest)
      : (await registry.headBlob(repository, digest)) !== undefined
  for (let at = 0; at < named.length; at += AT_ONCE) {
    const found = await Promise.all(named.slice(at, at + AT_ONCE).map(look))
    if (found.includes(false)) return false
  }
  return true
}
