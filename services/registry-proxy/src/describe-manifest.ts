import type { Reference } from '@registry-manager/oci'
import { LRUCache } from 'lru-cache'
import { createBatches } from './batches.ts'

/** The facts of a manifest that the index returns without its bytes. */
export interface ManifestDescription {
  readonly digest: string
  readonly mediaType: string
  /** Only the index has this manifest. The registry cannot store it. */
  readonly indexOnly: boolean
}

/** Undefined if the index has no such manifest. Throws ServiceCallError when image-manager is unavailable. */
export type DescribeManifest = (
  repository: string,
  reference: Reference,
) => Promise<ManifestDescription | undefined>

export interface NamedManifest {
  readonly repository: string
  readonly reference: Reference
}

/** Descriptions of several manifests, in the same order. */
export type DescribeManifests = (
  named: readonly NamedManifest[],
) => Promise<readonly (ManifestDescription | undefined)[]>

/** The type of a manifest never changes, so it is cached. One entry needs about 300 bytes. */
const MAX_CACHED = 20_000

/** Maximum number of manifests in a call, and of calls at the same time. */
const BATCHES = { size: 100, concurrent: 2, keyOf }

/**
 * Describes manifests. A tag is always looked up after the request for it has arrived, so a push that returned is
 * visible to every later request. Requests that arrive while calls are running share the next call, and those for one
 * tag share one lookup.
 */
export function createDescribeManifest(describeManifests: DescribeManifests): DescribeManifest {
  const byDigest = new LRUCache<string, ManifestDescription>({ max: MAX_CACHED })
  const describeNext = createBatches(describeManifests, BATCHES)
  return async (repository, reference) => {
    const cached = 'digest' in reference ? byDigest.get(keyOf({ repository, reference })) : undefined
    if (cached !== undefined) return cached
    const described = await describeNext({ repository, reference })
    if (described !== undefined) byDigest.set(keyOf({ repository, reference: described }), described)
    return described
  }
}

function keyOf({ repository, reference }: NamedManifest): string {
  return 'digest' in reference ? `${repository}@${reference.digest}` : `${repository}:${reference.tag}`
}
