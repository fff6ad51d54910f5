import type { ResolveNamesPorts } from './resolve-names.ts'
import { resolveNames } from './resolve-names.ts'

export interface ReviewState {
  readonly isPaused: boolean
  /** Whether a reconcile run without failures has added all content to the index that the registry's tags reach. */
  readonly isReconciled: boolean
}

export interface ReviewPorts extends ResolveNamesPorts {
  readonly unreferenced: {
    beginReview(): Promise<ReviewState>
    takeReleased(limit: number): Promise<number>
    condemn(
      limit: number,
      graceSeconds: number,
    ): Promise<{ readonly decided: number; readonly condemned: number }>
  }
}

export interface ReviewOptions {
  readonly graceSeconds: number
  readonly signal?: AbortSignal
}

const RELEASED_BATCH = 5000
const REVIEW_BATCH = 1000

/**
 * Reviews blobs that have lost a reference. Condemns those that nothing references after the grace period. Several
 * replicas may review at the same time. Returns the number of condemned blobs.
 */
export async function reviewBlobs(
  ports: ReviewPorts,
  { graceSeconds, signal }: ReviewOptions,
): Promise<number> {
  const { unreferenced } = ports
  const { isPaused, isReconciled } = await unreferenced.beginReview()
  while ((await unreferenced.takeReleased(RELEASED_BATCH)) === RELEASED_BATCH) signal?.throwIfAborted()
  if (isPaused || !isReconciled) return 0
  await resolveNames(ports, signal)
  for (let total = 0; ; signal?.throwIfAborted()) {
    const { decided, condemned } = await unreferenced.condemn(REVIEW_BATCH, graceSeconds)
    total += condemned
    if (decided < REVIEW_BATCH) return total
  }
}
