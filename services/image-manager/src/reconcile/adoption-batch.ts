import { syncTag } from '../index/sync-tag.ts'
import type { AdoptTagPorts, Adoption, FoundTag } from './adopt-tag.ts'
import { adoptTag } from './adopt-tag.ts'
import type { WorkItemPorts } from './work-item.ts'

/** Runs work on an item of a repository. Records a failure of the item, and throws errors that end all work. */
export type Step = (reference: string, work: () => Promise<unknown>) => Promise<unknown>

/** A repository whose tags are adopted. */
export interface AdoptingRepository {
  readonly step: Step
  /** The tags that were adopted, with their digests. */
  readonly adopted: Map<string, string>
}

/** Tags that were read from the registry and are recorded together. */
export interface AdoptionBatch {
  /** Adds a tag. Records the batch if it is large. */
  add(found: FoundTag, repository: AdoptingRepository): Promise<void>
  /** Records the tags of the batch. */
  flush(): Promise<void>
}

/**
 * Maximum number of tags, and of bytes of manifests, that one statement records. Pushes into their namespaces wait for
 * it.
 */
const [MAX_TAGS, MAX_BYTES] = [50, 1024 * 1024]

/**
 * Collects tags, and records them in one statement: the transaction and its lock on the usage of a namespace cost more
 * than a row. If the statement fails, nothing is recorded. Then each tag is recorded by itself, so that only the tags
 * at fault fail. A tag that failed in an earlier run is never added to a batch: it would fail the others again.
 */
export function createAdoptionBatch(ports: AdoptTagPorts & Pick<WorkItemPorts, 'endsWork'>): AdoptionBatch {
  let added: { readonly found: FoundTag; readonly repository: AdoptingRepository }[] = []
  let bytes = 0

  const flush = async () => {
    const all = added
    ;[added, bytes] = [[], 0]
    const adoptions = all.length > 1 ? await tryAll(all.map(({ found }) => found)) : undefined
    for (const [at, { found, repository }] of all.entries()) {
      const failure = await complete(found, adoptions?.[at], repository.step)
      if (failure === undefined) repository.adopted.set(found.tag, found.manifest.digest)
    }
  }
  /** Returns the failure of the tag. `adoption`: undefined if the tag is not recorded yet. */
  const complete = async (found: FoundTag, adoption: Adoption | undefined, step: Step) => {
    if (adoption?.isTagged === true) return undefined
    return step(found.tag, () =>
      adoption === undefined ? adoptTag(ports, found) : syncTag(ports, found.repository, found.tag),
    )
  }
  /** Undefined if they cannot be recorded in one statement. */
  const tryAll = async (found: readonly FoundTag[]) => {
    try {
      return await ports.adoption.adoptTags(found)
    } catch (error) {
      if (ports.endsWork(error)) throw error
      return undefined
    }
  }

  return {
    flush,
    async add(found, repository) {
      added.push({ found, repository })
      bytes += found.manifest.raw.length
      if (added.length >= MAX_TAGS || bytes >= MAX_BYTES) await flush()
    },
  }
}
