/** A run of retention, with its counts of one namespace. */
export interface ListedRun {
  readonly id: string
  readonly startedAt: Date
  /** Null while the run is in progress. */
  readonly finishedAt: Date | null
  /** Number of repositories of the namespace that are done. */
  readonly repositories: number
  readonly tags: number
  readonly manifests: number
  /** Number of tags and manifests that could not be deleted. */
  readonly failures: number
}

export interface ListRunsPorts {
  readonly retentionRuns: { listRuns(namespace: string, limit: number): Promise<readonly ListedRun[]> }
}

/** Maximum number of runs that are shown. */
const RUNS = 50

/** The newest runs of retention, with their counts of one namespace. */
export async function listRuns(
  { retentionRuns }: ListRunsPorts,
  namespace: string,
): Promise<readonly ListedRun[]> {
  return retentionRuns.listRuns(namespace, RUNS)
}
