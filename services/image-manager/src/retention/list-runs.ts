/** A run of retention, with what it has deleted in one namespace. */
export interface ListedRun {
  readonly id: string
  readonly startedAt: Date
  /** Null while the run is in progress. */
  readonly finishedAt: Date | null
  /** How many repositories of the namespace are done. */
  readonly repositories: number
  readonly tags: number
  readonly manifests: number
  /** How many tags and manifests could not be deleted. */
  readonly failures: number
}

export interface ListRunsPorts {
  readonly retentionRuns: { listRuns(namespace: string, limit: number): Promise<readonly ListedRun[]> }
}

/** How many runs are shown. */
const RUNS = 50

/** The newest runs of retention, with what each has deleted in a namespace. */
export async function listRuns(
  { retentionRuns }: ListRunsPorts,
  namespace: string,
): Promise<readonly ListedRun[]> {
  return retentionRuns.listRuns(namespace, RUNS)
}
