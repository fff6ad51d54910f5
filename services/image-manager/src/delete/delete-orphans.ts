import type { DeleteBlobsPorts } from './delete-blobs.ts'
import { UPLOAD_SECONDS, deleteBlobs } from './delete-blobs.ts'
import type { RemovalPorts } from './removal.ts'
import { withRemoval } from './removal.ts'

/** A digest of a blob, and another digest of the same blob. */
export interface OtherName {
  readonly digest: string
  readonly name: string
}

/** Selects orphans that no process works on, and sets the interval of checks of the registry for them. */
export interface OldOrphans {
  readonly limit: number
  /** Selects only orphans whose last claim is longer ago than this, in seconds. */
  readonly idleSeconds: number
  /**
   * Within `uploadSeconds` of its announcement, an orphan is claimed again only after a pause: this fraction of the
   * time since the announcement.
   */
  readonly announcedFraction: number
  /** Upper bound of that pause, in seconds. */
  readonly maxPauseSeconds: number
  readonly uploadSeconds: number
}

interface FindReferencesPorts extends RemovalPorts {
  readonly registry: Pick<DeleteBlobsPorts['registry'], 'headBlob'>
  readonly blobAliases: {
    aliasBlob(repository: string, sha512: string, sha256: string): Promise<void>
  }
  readonly references: {
    listOtherNames(repository: string, digests: readonly string[]): Promise<OtherName[]>
    listUnresolved(repository: string, limit: number): Promise<string[]>
    listReferenced(repository: string, names: readonly string[]): Promise<string[]>
  }
}

export interface DeleteUnreferencedPorts extends DeleteBlobsPorts, FindReferencesPorts {
  readonly registry: DeleteBlobsPorts['registry']
  readonly blobAliases: DeleteBlobsPorts['blobAliases'] & FindReferencesPorts['blobAliases']
  readonly blobs: DeleteBlobsPorts['blobs'] & {
    markOrphans(repository: string, digests: readonly string[]): Promise<void>
  }
}

export interface DeleteOrphansPorts extends DeleteBlobsPorts, FindReferencesPorts {
  readonly registry: DeleteBlobsPorts['registry']
  readonly blobAliases: DeleteBlobsPorts['blobAliases'] & FindReferencesPorts['blobAliases']
  readonly blobs: DeleteBlobsPorts['blobs'] & {
    claimOrphans(repository: string, digests: readonly string[]): Promise<string[]>
    unmarkOrphans(repository: string, digests: readonly string[]): Promise<void>
  }
}

export interface DeleteOldOrphansPorts extends DeleteOrphansPorts {
  readonly blobs: DeleteOrphansPorts['blobs'] & {
    claimOldOrphans(which: OldOrphans): Promise<{ repository: string; digest: string }[]>
  }
}

/** Number of blobs that one set of statements covers. */
const BATCH_SIZE = 500

/**
 * Maximum number of sha512 references without a recorded sha256 that are resolved at once. There is hardly ever one.
 */
const MAX_UNRESOLVED = 100

const OLD_ORPHANS: OldOrphans = {
  limit: 100,
  idleSeconds: 60,
  announcedFraction: 1 / 4,
  maxPauseSeconds: 3600,
  uploadSeconds: UPLOAD_SECONDS,
}

/**
 * Deletes the orphans among these blobs from the registry. Keeps a blob that a recorded, index-only or pending manifest
 * of the repository references by any of its names. A blob that is uploaded again before its deletion stays. A push
 * that references a blob during its deletion is refused (`removal.ts`). Idempotent; may be interrupted anywhere.
 */
export async function deleteOrphans(
  ports: DeleteOrphansPorts,
  repository: string,
  digests: readonly string[],
): Promise<void> {
  for (let from = 0; from < digests.length; from += BATCH_SIZE) {
    await deleteBatch(ports, repository, digests.slice(from, from + BATCH_SIZE))
  }
}

/**
 * Deletes orphans of any repository that earlier deletions left over: after a crash, or if an upload ended only after
 * its repository was deleted. Replicas share the work, because each claims orphans that no other replica has. Returns
 * the number of orphans that it claimed. Throws the reason of an aborted signal; a later call finds the orphans again.
 */
export async function deleteOldOrphans(ports: DeleteOldOrphansPorts, signal?: AbortSignal): Promise<number> {
  const claimed = await ports.blobs.claimOldOrphans(OLD_ORPHANS)
  for (const [repository, blobs] of Map.groupBy(claimed, ({ repository }) => repository)) {
    signal?.throwIfAborted()
    const digests = blobs.map(({ digest }) => digest)
    await deleteOrphans(ports, repository, digests)
  }
  return claimed.length
}

async function deleteBatch(ports: DeleteOrphansPorts, repository: string, digests: readonly string[]) {
  const { blobs } = ports
  const orphans = await blobs.claimOrphans(repository, digests)
  if (orphans.length === 0) return
  await withReferences(ports, repository, orphans, async (isReferenced) => {
    const kept = orphans.filter(isReferenced)
    if (kept.length > 0) await blobs.unmarkOrphans(repository, kept)
    // Claimed a second time: a blob that was announced since the first claim is not an orphan any more.
    const free = await blobs.claimOrphans(
      repository,
      orphans.filter((digest) => !isReferenced(digest)),
    )
    await deleteBlobs(ports, repository, free)
  })
}

/**
 * Deletes blobs of a repository that is being deleted, except those that a recorded, index-only or pending manifest of
 * the repository references. These are pushes that began before the deletion: once they are recorded, the deletion
 * handles their manifests.
 */
export async function deleteUnreferenced(
  ports: DeleteUnreferencedPorts,
  repository: string,
  digests: readonly string[],
): Promise<void> {
  await ports.blobs.markOrphans(repository, digests)
  await withReferences(ports, repository, digests, async (isReferenced) => {
    await deleteBlobs(
      ports,
      repository,
      digests.filter((digest) => !isReferenced(digest)),
    )
  })
}

/**
 * Runs `work` with a function that tells whether a manifest of the repository references a blob by any of its names.
 * Until `work` ends, a new push that references one of the blobs is refused.
 */
async function withReferences(
  ports: FindReferencesPorts,
  repository: string,
  digests: readonly string[],
  work: (isReferenced: (digest: string) => boolean) => Promise<void>,
): Promise<void> {
  const namesByDigest = await findNames(ports, repository, digests)
  const allNames = [...new Set([...namesByDigest.values()].flat())]
  await withRemoval(ports, repository, allNames, async () => {
    const referenced = new Set(await ports.references.listReferenced(repository, allNames))
    await work((digest) => (namesByDigest.get(digest) ?? [digest]).some((name) => referenced.has(name)))
  })
}

/** All names of each of some blobs, the given digest included. */
async function findNames(
  { registry, blobAliases, references }: FindReferencesPorts,
  repository: string,
  digests: readonly string[],
) {
  const listOthers = async () =>
    Map.groupBy(await references.listOtherNames(repository, digests), ({ digest }) => digest)
  let others = await listOthers()
  // These aliases were not recorded, because image-manager was unavailable. The registry can resolve them.
  const unknown = digests.filter((digest) => digest.startsWith('sha512:') && !others.has(digest))
  const unresolved = new Set([...unknown, ...(await references.listUnresolved(repository, MAX_UNRESOLVED))])
  for (const sha512 of unresolved) {
    const sha256 = await registry.headBlob(repository, sha512)
    if (sha256 !== undefined) await blobAliases.aliasBlob(repository, sha512, sha256)
  }
  if (unresolved.size > 0) others = await listOthers()
  return new Map(
    digests.map((digest) => [digest, [digest, ...(others.get(digest) ?? []).map(({ name }) => name)]]),
  )
}
