import type { EnsureManifestPorts } from './ensure-manifest.ts'
import { UnrecordableError, ensureManifest } from './ensure-manifest.ts'
import type { VerifyManifestPorts } from './verify-manifest.ts'
import { verifyManifest } from './verify-manifest.ts'

/** A tag of the index. Its digest and revision are undefined if the index does not have the tag. */
export interface TagState {
  readonly digest: string | undefined
  readonly revision: string | undefined
  /** Whether the manifest of the tag is index-only. */
  readonly indexOnly: boolean
}

export type SyncTagPorts = EnsureManifestPorts &
  VerifyManifestPorts & {
    readonly tags: {
      findTag(repository: string, tag: string): Promise<TagState>
      setTag(
        repository: string,
        tag: string,
        digest: string | undefined,
        revision: string | undefined,
      ): Promise<boolean>
    }
  }

/** Maximum number of comparisons of a tag that other processes change at the same time. */
const MAX_TRIES = 20

/**
 * Sets a tag of the index to the registry's digest by compare-and-set, retried until no other process interferes.
 * Returns the registry's digest. With `vouches`, which pushes set, the tag's revision changes even if its digest does
 * not, so a reconcile that read the registry before the push cannot remove the tag. A tag of an index-only manifest
 * stays until the registry has a tag of that name. `state`: the tag, if the caller has read it already.
 */
export async function syncTag(
  ports: SyncTagPorts,
  repository: string,
  tag: string,
  { vouches = false, state }: { readonly vouches?: boolean; readonly state?: TagState | undefined } = {},
): Promise<string | undefined> {
  const { registry, manifests, tags } = ports
  const recorded = new Set<string>()
  for (let tries = 0; tries < MAX_TRIES; tries++) {
    const known = (tries === 0 ? state : undefined) ?? (await tags.findTag(repository, tag))
    const digest = await registry.headManifest(repository, tag)
    const isIndexOnly = digest === undefined && known.indexOnly
    if (!isIndexOnly && (digest !== known.digest || (vouches && digest !== undefined))) {
      const isNew = digest !== undefined && !(await manifests.hasManifest(repository, digest))
      if (isNew && !(await ensureManifest(ports, repository, digest))) continue
      if (isNew) recorded.add(digest)
      const isSet = await tags.setTag(repository, tag, digest, known.revision)
      // A deletion that ran since the tag was read has removed the tag or changed its revision. But it cannot have
      // found a tag or a manifest that this call has created, so the registry is asked once more.
      if (!isSet || isNew || known.revision === undefined) continue
    }
    for (const other of recorded) if (other !== digest) await verifyManifest(ports, repository, other)
    return digest
  }
  throw new UnrecordableError(
    `the tag ${tag} of ${repository} changed during each of ${MAX_TRIES} tries to record it`,
  )
}
