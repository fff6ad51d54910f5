import type { Reference } from '@registry-manager/oci'

export interface ReadManifestPorts {
  readonly manifestLookup: {
    measureManifest(repository: string, reference: Reference): Promise<number | undefined>
    findManifest(repository: string, reference: Reference): Promise<FoundManifest | undefined>
  }
  /** Bounds the bytes of manifests in memory. `take` returns undefined if it is exhausted. */
  readonly manifestBudget: { take(account: string, bytes: number): Promise<(() => void) | undefined> }
}

interface FoundManifest {
  readonly digest: string
  readonly mediaType: string
  readonly raw: Buffer
  readonly indexOnly: boolean
}

export interface DescribeManifestsPorts {
  readonly manifestLookup: {
    /** Describes those that exist. `position` is the position of the manifest in the list of names. */
    describeManifests(
      named: readonly { readonly repository: string; readonly reference: string }[],
    ): Promise<(Omit<FoundManifest, 'raw'> & { readonly position: number })[]>
  }
}

export type ReadManifest =
  | { readonly outcome: 'found'; readonly manifest: Omit<FoundManifest, 'raw'> & { readonly base64: string } }
  | { readonly outcome: 'unknown' | 'busy' }

/** Reads a manifest, after its length is reserved in the memory budget. */
export async function readManifest(
  { manifestLookup, manifestBudget }: ReadManifestPorts,
  repository: string,
  reference: Reference,
): Promise<ReadManifest> {
  const size = await manifestLookup.measureManifest(repository, reference)
  if (size === undefined) return { outcome: 'unknown' }
  const release = await manifestBudget.take('', size)
  if (release === undefined) return { outcome: 'busy' }
  try {
    const found = await manifestLookup.findManifest(repository, reference)
    if (found === undefined) return { outcome: 'unknown' }
    const { raw, ...facts } = found
    return { outcome: 'found', manifest: { ...facts, base64: raw.toString('base64') } }
  } finally {
    release()
  }
}
