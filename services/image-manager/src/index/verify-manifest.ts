/**
 * The reason why a manifest is removed from the index: the registry lost it, a client deleted it, or its push was
 * undone because the repository was deleted.
 */
export type ManifestEnd = 'lost' | 'deleted' | 'undone'

/** The effects on the rest of the repository when one of its manifests is removed. */
export interface RemovalEffects {
  /** Whether the blobs that the manifest references become orphans, which are deleted unless still referenced. */
  readonly orphansBlobs: boolean
  /** Whether the repository stays if this was its last manifest. */
  readonly keepsRepository: boolean
}

export interface VerifyManifestPorts {
  readonly registry: { headManifest(repository: string, reference: string): Promise<string | undefined> }
  readonly manifests: {
    findRevision(repository: string, digest: string): Promise<string | undefined>
    removeManifest(
      repository: string,
      digest: string,
      revision: string,
      effects: RemovalEffects,
    ): Promise<boolean>
  }
}

const EFFECTS: Readonly<Record<ManifestEnd, RemovalEffects>> = {
  lost: { orphansBlobs: false, keepsRepository: false },
  deleted: { orphansBlobs: true, keepsRepository: true },
  undone: { orphansBlobs: true, keepsRepository: false },
}

/**
 * Returns whether the registry has a manifest, and removes one that the registry does not have from the index. The
 * manifest stays if a push recorded it after this call read its revision: that push verifies it. `reason`: the reason
 * why the manifest may be missing.
 */
export async function verifyManifest(
  { registry, manifests }: VerifyManifestPorts,
  repository: string,
  digest: string,
  reason: ManifestEnd = 'lost',
): Promise<boolean> {
  const revision = await manifests.findRevision(repository, digest)
  if ((await registry.headManifest(repository, digest)) !== undefined) return true
  if (revision !== undefined) await manifests.removeManifest(repository, digest, revision, EFFECTS[reason])
  return false
}
