/** A namespace whose usage is being counted. */
export interface UncountedNamespace {
  readonly namespace: string
  /** Digests below this one are counted. */
  readonly countedBelow: string
  /** The number of its manifests, at most `MANY_MANIFESTS`. */
  readonly manifests: number
}

export interface CountUsagePorts {
  readonly usageCounts: {
    findUncounted(maxManifests: number): Promise<UncountedNamespace | undefined>
    /**
     * Continues the count of a namespace up to a digest (null: to the end), in one transaction.
     * Does nothing if another process has continued the count in the meantime.
     */
    countBelow(uncounted: UncountedNamespace, bound: string | null): Promise<void>
  }
}

/**
 * How the count of a namespace is divided into transactions. Each row: a number of manifests, and the length of a
 * digest prefix. A namespace with fewer manifests than this is counted in one transaction for each prefix of this
 * length; with length 0 in one transaction. From 500,000 manifests on the prefix has 3 hexadecimal digits. So a
 * transaction reads at most some ten thousand references, and pushes into the namespace wait for less than a second.
 */
const PREFIX_LENGTHS = [
  [2000, 0],
  [32_000, 1],
  [500_000, 2],
] as const
const MANY_MANIFESTS = 500_000

/**
 * Counts the usage of namespaces that existed before this version, and of those whose recount was requested. Resumes
 * where the last call stopped, in this process or in another one. Concurrent calls do no harm. Returns the number of
 * namespaces whose count has ended.
 */
export async function countUsage({ usageCounts }: CountUsagePorts, signal: AbortSignal): Promise<number> {
  let counted = 0
  while (!signal.aborted) {
    const uncounted = await usageCounts.findUncounted(MANY_MANIFESTS)
    if (uncounted === undefined) break
    const bound = nextBound(uncounted)
    await usageCounts.countBelow(uncounted, bound)
    if (bound === null) counted += 1
  }
  return counted
}

/** The digest below which a transaction counts; null for all digests. */
function nextBound({ countedBelow, manifests }: Omit<UncountedNamespace, 'namespace'>): string | null {
  const length = PREFIX_LENGTHS.find(([most]) => manifests < most)?.[1] ?? 3
  const bounds = ['sha256:', 'sha512:'].flatMap((algorithm) =>
    Array.from({ length: 16 ** length }, (_, at) => `${algorithm}${at.toString(16).padStart(length, '0')}`),
  )
  // The first bound is below all digests.
  return length === 0 ? null : (bounds.slice(1).find((bound) => bound > countedBelow) ?? null)
}
