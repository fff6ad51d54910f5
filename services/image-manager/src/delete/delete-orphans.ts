import { randomUUID } from 'node:crypto'
import type { RemovePorts } from './remove-ports.ts'
import type { RemoveBlobsPorts } from './delete-blobs.ts'
import { deleteBlobs } from './delete-blobs.ts'

export interface RemoveOrphansPorts {
  readonly registry: RemoveBlobsPorts['registry']
  readonly blobAliases: RemovePorts['blobAliases']
  readonly blobs: RemovePorts['blobs']
  readonly removals: RemovePorts['removals']
}

/** How many blobs are looked at with one set of statements. */
const BATCH = 500

/**
 * Deletes from the registry those of some blobs that lost what named them, and that no recorded, kept or pending
 * manifest of the repository names by any of their names. A blob that is uploaded again before that stays. A push that
 * is admitted while the blob is being deleted is refused (see `createPendingRemovals`). May be interrupted anywhere,
 * and repeated.
 */
export async function removeOrphans(
  ports: RemoveOrphansPorts,
  repository: string,
  digests: readonly string[],
): Promise<void> {
  for (let at = 0; at < digests.length; at += BATCH) {
    await removeBatch(ports, repository, digests.slice(at, at + BATCH))
  }
}

/** Deletes what earlier deletions left over, of any repository: a few at a time. Answers how many it looked at. */
export async function removeOldOrphans(ports: RemoveOrphansPorts, limit = 100): Promise<number> {
  const claimed = await ports.blobs.claimOldOrphans(limit)
  const byRepository = Map.groupBy(claimed, ({ repository }) => repository)
  for (const [repository, orphans] of byRepository) {
    await removeOrphans(
      ports,
      repository,
      orphans.map(({ digest }) => digest),
    )
  }
  return claimed.length
}

async function removeBatch(ports: RemoveOrphansPorts, repository: string, digests: readonly string[]) {
  const { blobs, removals } = ports
  const orphans = await blobs.claimOrphans(repository, digests)
  if (orphans.length === 0) return
  const names = await namesOf(ports, repository, orphans)
  const all = [...new Set([...names.values()].flat())]
  const removal = randomUUID()
  // First recorded, then looked for: a push does the same the other way round.
  await removals.beginRemoval(removal, repository, all)
  try {
    const named = new Set(await removals.listNamed(repository, all))
    const isNamed = (digest: string) => (names.get(digest) ?? [digest]).some((name) => named.has(name))
    const kept = orphans.filter(isNamed)
    if (kept.length > 0) await blobs.adoptOrphans(repository, kept)
    // Again: what was uploaded in the meantime is an orphan no longer.
    const free = await blobs.claimOrphans(
      repository,
      orphans.filter((digest) => !isNamed(digest)),
    )
    await deleteBlobs(ports, repository, free)
  } finally {
    await removals.endRemoval(removal, repository)
  }
}

/** Every name of each of some blobs, the given one among them. */
async function namesOf(
  { registry, blobAliases, removals }: RemoveOrphansPorts,
  repository: string,
  digests: readonly string[],
) {
  const list = async () =>
    Map.groupBy(await removals.listOtherNames(repository, digests), ({ digest }) => digest)
  let others = await list()
  // Aliases that were never recorded, because image-manager did not answer: the registry knows them still.
  const unknown = digests.filter((digest) => digest.startsWith('sha512:') && !others.has(digest))
  const unresolved = new Set([...unknown, ...(await removals.listUnresolved(repository))])
  for (const sha512 of unresolved) {
    const sha256 = await registry.headBlob(repository, sha512)
    if (sha256 !== undefined) await blobAliases.aliasBlob(repository, sha512, sha256)
  }
  if (unresolved.size > 0) others = await list()
  return new Map(
    digests.map((digest) => [digest, [digest, ...(others.get(digest) ?? []).map(({ name }) => name)]]),
  )
}
