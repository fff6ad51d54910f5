import { isDeepStrictEqual } from 'node:util'
import type { ExamineRepositoryPorts, ExaminedRepository, RepositoryExamination } from './examination.ts'
import type { CandidateManifest, CandidateTag } from './examination.ts'
import { examineRepository } from './examination.ts'
import type { NamespaceRetentionRule } from './retention-rule.ts'

/** The outcome of a deletion. A manifest that an image index lists, or that an immutable tag needs, stays. */
export type RetentionDeletion = 'deleted' | 'unknown' | 'in-use' | 'protected'

export interface ApplyRetentionPorts extends ExamineRepositoryPorts {
  readonly candidates: ExamineRepositoryPorts['candidates'] & {
    findTag(repositoryId: string, tag: string): Promise<CandidateTag | undefined>
    findManifest(repositoryId: string, digest: string): Promise<CandidateManifest | undefined>
    /** The digests of manifests without a tag whose subject has one of some digests. */
    listUntaggedReferrers(repositoryId: string, subjects: readonly string[]): Promise<readonly string[]>
  }
  readonly retentionRules: {
    listRules(repository: string): Promise<readonly NamespaceRetentionRule[]>
  }
  /** Deletes as a client does, and records the events with the reason. */
  readonly deletion: {
    deleteTag(repository: string, tag: string): Promise<RetentionDeletion>
    deleteManifest(repository: string, digest: string): Promise<RetentionDeletion>
  }
  /** Whether an error ends the run: a dependency is unavailable, or the process stops. */
  readonly endsRun: (error: unknown) => boolean
  /** Called for a tag or manifest that could not be deleted. The run continues. */
  readonly onFailure: (repository: string, reference: string, error: unknown) => void
}

/** The counts of a run. */
export interface RetentionCounts {
  tags: number
  manifests: number
  failures: number
}

/** Number of tags or manifests of one page of decisions. */
const PAGE_SIZE = 100

/**
 * Applies the rules of retention to a repository. Before each deletion the tag or manifest and the rules are read
 * again: a tag or manifest that was pushed, pulled or changed since the decision stays. Adds to the counts. May be
 * interrupted anywhere; the next call makes all decisions again.
 */
export async function applyRetention(
  ports: ApplyRetentionPorts,
  repository: ExaminedRepository,
  counts: RetentionCounts,
  signal: AbortSignal,
): Promise<void> {
  for (let after: string | undefined = ''; after !== undefined;) {
    const { rules, examination } = await examine(ports, repository)
    if (!examination.covers.tags) break
    const { items, last } = await examination.examineTags(after, PAGE_SIZE)
    for (const { candidate, decision } of items) {
      signal.throwIfAborted()
      if (decision.outcome !== 'deleted') continue
      const attempt = () => deleteTag(ports, repository, rules, examination, candidate)
      if ((await tryDeletion(ports, repository, candidate.name, counts, attempt)) === 'deleted')
        counts.tags += 1
    }
    after = last
  }
  for (let after: string | undefined = ''; after !== undefined;) {
    const { rules, examination } = await examine(ports, repository)
    if (!examination.covers.manifests) break
    const { items, last } = await examination.examineManifests(after, PAGE_SIZE)
    for (const { candidate, decision } of items) {
      signal.throwIfAborted()
      if (decision.outcome !== 'deleted') continue
      const attempt = () => deleteManifest(ports, repository, rules, examination, candidate)
      if ((await tryDeletion(ports, repository, candidate.digest, counts, attempt)) !== 'deleted') continue
      counts.manifests += 1
      await deleteReferrers(ports, repository, candidate, counts, signal)
    }
    after = last
  }
}

async function examine(ports: ApplyRetentionPorts, repository: ExaminedRepository) {
  const rules = await ports.retentionRules.listRules(repository.name)
  return { rules, examination: await examineRepository(ports, repository, rules) }
}

async function deleteTag(
  { candidates, retentionRules, deletion }: ApplyRetentionPorts,
  { id, name: repository }: ExaminedRepository,
  rules: readonly NamespaceRetentionRule[],
  examination: RepositoryExamination,
  decided: CandidateTag,
): Promise<RetentionDeletion> {
  if (!isDeepStrictEqual(await retentionRules.listRules(repository), rules)) return 'unknown'
  const now = await candidates.findTag(id, decided.name)
  const isUnchanged = now !== undefined && now.revision === decided.revision
  if (!isUnchanged || now.isPending || examination.decideTag(now).outcome !== 'deleted') return 'unknown'
  return deletion.deleteTag(repository, decided.name)
}

async function deleteManifest(
  { candidates, retentionRules, deletion }: ApplyRetentionPorts,
  { id, name: repository }: ExaminedRepository,
  rules: readonly NamespaceRetentionRule[],
  examination: RepositoryExamination,
  decided: CandidateManifest,
): Promise<RetentionDeletion> {
  if (!isDeepStrictEqual(await retentionRules.listRules(repository), rules)) return 'unknown'
  const now = await candidates.findManifest(id, decided.digest)
  const isUnchanged = now !== undefined && now.revision === decided.revision && !now.isTagged
  if (!isUnchanged || now.isPending || examination.decideManifest(now).outcome !== 'deleted') return 'unknown'
  return deletion.deleteManifest(repository, decided.digest)
}

/**
 * Deletes the manifests without a tag that refer to a deleted one, such as its signatures, and those that refer to them
 * in turn.
 */
async function deleteReferrers(
  ports: ApplyRetentionPorts,
  repository: ExaminedRepository,
  { digest, sha512 }: Pick<CandidateManifest, 'digest' | 'sha512'>,
  counts: RetentionCounts,
  signal: AbortSignal,
): Promise<void> {
  const { candidates, deletion } = ports
  const queue = [[digest, sha512]]
  for (let subjects = queue.pop(); subjects !== undefined; subjects = queue.pop()) {
    for (const referrer of await candidates.listUntaggedReferrers(repository.id, subjects)) {
      signal.throwIfAborted()
      const found = await candidates.findManifest(repository.id, referrer)
      if (found === undefined || found.isPending || found.isTagged || found.index !== null) continue
      const attempt = () => deletion.deleteManifest(repository.name, referrer)
      if ((await tryDeletion(ports, repository, referrer, counts, attempt)) !== 'deleted') continue
      counts.manifests += 1
      queue.push([referrer, found.sha512])
    }
  }
}

/** Runs a deletion. A failure does not end the run, unless `endsRun` says so. */
async function tryDeletion(
  { endsRun, onFailure }: ApplyRetentionPorts,
  { name }: ExaminedRepository,
  reference: string,
  counts: RetentionCounts,
  attempt: () => Promise<RetentionDeletion>,
): Promise<RetentionDeletion> {
  try {
    return await attempt()
  } catch (error) {
    if (endsRun(error)) throw error
    counts.failures += 1
    onFailure(name, reference, error)
    return 'unknown'
  }
}
