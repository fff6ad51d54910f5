import type { Manifest, ManifestReference } from '../index/manifest.ts'
import { parseManifest } from '../index/manifest.ts'
import type { AnnounceOutcome, PushedManifest } from '../push/announce-manifest.ts'
import type { QuotaDemand } from './quota.ts'
import { describeExceeded, findExceeded, namespaceOf } from './quota.ts'

export interface AnnounceWithinQuotaPorts {
  readonly quotas: {
    findDemand(
      namespace: string,
      repository: string,
      digests: readonly Pick<ManifestReference, 'digest' | 'size'>[],
    ): Promise<QuotaDemand>
  }
  /** Whether the database has refused a statement because of the quota. */
  readonly isQuotaExceeded: (error: unknown) => boolean
}

/**
 * Maximum number of announcements of one push. A refused push is announced again if it fits by now, because content was
 * deleted.
 */
const MAX_TRIES = 3

/**
 * Announces a manifest. The statement that stores the push also charges the namespace, and fails without an effect if
 * the charge exceeds the quota. So two concurrent pushes are both accepted only if the quota has room for both. A
 * refusal states the usage, the limit, and the demand of the push.
 */
export async function announceWithinQuota(
  ports: AnnounceWithinQuotaPorts,
  pushed: PushedManifest,
  announce: (pushed: PushedManifest) => Promise<AnnounceOutcome>,
): Promise<AnnounceOutcome> {
  for (let tries = 1; ; tries += 1) {
    try {
      return await announce(pushed)
    } catch (error) {
      if (!ports.isQuotaExceeded(error)) throw error
      const exceeded = await findExceededBy(ports, pushed)
      if (exceeded === undefined && tries < MAX_TRIES) continue
      if (exceeded === undefined) throw error
      return {
        outcome: 'refused',
        code: 'DENIED',
        message: describeExceeded(exceeded),
        detail: { quota: exceeded },
      }
    }
  }
}

async function findExceededBy({ quotas }: AnnounceWithinQuotaPorts, pushed: PushedManifest) {
  const { repository, type, raw } = pushed
  const namespace = namespaceOf(repository)
  const parsed = parseManifest(raw, type)
  if (namespace === undefined || 'malformed' in parsed) return undefined
  return findExceeded(await quotas.findDemand(namespace, repository, countedDigests(parsed.manifest)))
}

/**
 * The digests that a manifest uses: its own, and those of its blobs. The manifests that it references have been charged
 * before.
 */
function countedDigests({ digest, size, references }: Manifest) {
  return [{ digest, size }, ...references.filter(({ kind }) => kind !== 'manifest')]
}
