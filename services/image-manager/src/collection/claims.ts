export interface ClaimsPorts {
  readonly unreferenced: {
    claim(options: {
      readonly limit: number
      readonly holdSeconds: number
    }): Promise<
      { readonly id: string; readonly digests: string[]; readonly blobsPerSecond: number | null } | undefined
    >
    recordResults(id: string, results: RemovalResults): Promise<void>
  }
}

export interface RemovalResults {
  /** `bytes` is null if the worker does not know the size. */
  readonly removed: readonly { readonly digest: string; readonly bytes: number | null }[]
  readonly failed: readonly { readonly digest: string; readonly reason: string }[]
}

export interface Claims {
  claim(limit: number): Promise<{
    id: string | null
    digests: string[]
    seconds: number
    blobsPerSecond: number | null
  }>
  recordResults(id: string, results: RemovalResults): Promise<void>
}

/** Time in which a worker may remove the data of a claim, from the moment that it sends the request, in seconds. */
const CLAIM_SECONDS = 60
/**
 * Seconds after the end of a claim for which references to its digests are still refused: S3 may execute a request
 * late.
 */
const MARGIN_SECONDS = 30

/** Gives condemned blobs to storage workers. With `isOff` every claim is empty. */
export function createClaims({ unreferenced }: ClaimsPorts, isOff: boolean): Claims {
  return {
    async claim(limit) {
      const holdSeconds = CLAIM_SECONDS + MARGIN_SECONDS
      const claimed = isOff ? undefined : await unreferenced.claim({ limit, holdSeconds })
      const { id = null, digests = [], blobsPerSecond = null } = claimed ?? {}
      return { id, digests, seconds: CLAIM_SECONDS, blobsPerSecond }
    },
    recordResults: (id, results) => unreferenced.recordResults(id, results),
  }
}
