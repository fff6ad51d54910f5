import type { ManifestDecision } from './decide-manifest.ts'
import type { TagDecision } from './decide-tag.ts'
import type { ExamineRepositoryPorts, ExaminedRepository } from './examination.ts'
import { examineRepository } from './examination.ts'
import type { DryRunPosition } from './dry-run-position.ts'
import type { NamespaceRetentionRule, RetentionRule } from './retention-rule.ts'

export interface DryRunPorts extends ExamineRepositoryPorts {
  readonly candidates: ExamineRepositoryPorts['candidates'] & {
    /** Repositories of a namespace after a name, in byte order. */
    listRepositories(namespace: string, after: string, limit: number): Promise<readonly ExaminedRepository[]>
  }
  readonly repositories: {
    findRepository(name: string): Promise<ExaminedRepository | undefined>
  }
  readonly retentionRules: {
    /** The rules of all namespaces that cover a repository. */
    listRules(repository: string): Promise<readonly NamespaceRetentionRule[]>
  }
}

export interface DryRunRequest {
  readonly namespace: string
  /** Rules that replace those of the namespace; its own rules when left out. */
  readonly rules?: readonly RetentionRule[] | undefined
  readonly limit: number
  /** The position after which the page starts; the beginning when left out. */
  readonly after?: DryRunPosition | undefined
}

/** `tag` is null for a manifest without a tag. */
export type DryRunItem = { readonly repository: string; readonly digest: string } & (
  | ({ readonly tag: string } & TagDecision)
  | ({ readonly tag: null } & ManifestDecision)
)

export interface DryRunPage {
  readonly items: readonly DryRunItem[]
  /** Undefined after the last page. */
  readonly next: DryRunPosition | undefined
}

/** Maximum number of repositories, and of manifests of a repository, that one request examines. */
const [MAX_REPOSITORIES, MAX_MANIFESTS] = [20, 1000]
/** Each statement counts as at least this many manifests. This also limits the number of statements. */
const LEAST_MANIFESTS = 100

/**
 * Says for one page of tags, and of manifests without a tag, what retention would do with them now. The work of a
 * request is limited, so a page may have fewer items than requested, or none.
 */
export async function dryRun(ports: DryRunPorts, request: DryRunRequest): Promise<DryRunPage> {
  const { namespace, limit, after } = request
  const { candidates, repositories } = ports
  const items: DryRunItem[] = []
  const isInside = after !== undefined && (after.tag ?? after.digest) !== undefined
  let started = isInside ? after : undefined
  let repository = isInside ? await repositories.findRepository(after.repository) : undefined
  let last = after?.repository ?? ''
  for (let looked = 0; looked < MAX_REPOSITORIES && items.length < limit; looked += 1) {
    repository ??= (await candidates.listRepositories(namespace, last, 1))[0]
    if (repository === undefined) return { items, next: undefined }
    const next = await examinePage(ports, repository, request, { items, started })
    if (next !== undefined) return { items, next }
    last = repository.name
    started = undefined
    repository = undefined
  }
  return { items, next: { repository: last } }
}

/** Adds items of a repository to a page. Returns the position where the page ends, if it ends in this repository. */
async function examinePage(
  ports: DryRunPorts,
  repository: ExaminedRepository,
  request: DryRunRequest,
  { items, started }: { readonly items: DryRunItem[]; readonly started: DryRunPosition | undefined },
): Promise<DryRunPosition | undefined> {
  const { name } = repository
  const { limit } = request
  const examination = await examineRepository(ports, repository, await rulesOf(ports, name, request))
  if (started?.digest === undefined) {
    const tags = await examination.examineTags(started?.tag ?? '', limit - items.length)
    items.push(
      ...tags.items.map(({ candidate, decision }) => ({
        repository: name,
        tag: candidate.name,
        digest: candidate.digest,
        ...decision,
      })),
    )
    if (tags.last !== undefined) return { repository: name, tag: tags.last }
  }
  if (!examination.covers.manifests) return undefined
  let digest = started?.digest ?? ''
  for (let looked = 0; looked < MAX_MANIFESTS && items.length < limit;) {
    const size = limit - items.length
    const manifests = await examination.examineManifests(digest, size)
    items.push(
      ...manifests.items.map(({ candidate, decision }) => ({
        repository: name,
        tag: null,
        digest: candidate.digest,
        ...decision,
      })),
    )
    if (manifests.last === undefined) return undefined
    digest = manifests.last
    looked += Math.max(size, LEAST_MANIFESTS)
  }
  return { repository: name, digest }
}

async function rulesOf(
  { retentionRules }: DryRunPorts,
  repository: string,
  { namespace, rules }: DryRunRequest,
): Promise<readonly NamespaceRetentionRule[]> {
  const saved = await retentionRules.listRules(repository)
  if (rules === undefined) return saved
  const others = saved.filter((rule) => rule.namespace !== namespace)
  return [...others, ...rules.map((rule) => ({ ...rule, namespace }))]
}
