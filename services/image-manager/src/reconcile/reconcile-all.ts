import type { RegistryClient } from '@registry-manager/registry-client'
import type { PageRequest } from '../index/repository.ts'
import type { ReconcileCounts } from './counts.ts'
import { addCounts, readCounts } from './counts.ts'
import { readPages } from './paginate.ts'
import type { ReconcileRepositoriesPorts } from './reconcile-repositories.ts'
import { reconcileRepositories } from './reconcile-repositories.ts'
import { workInOrder } from './work-in-order.ts'

export interface ReconcileAllPorts {
  readonly counts: ReconcileCounts
  readonly registry: Pick<RegistryClient, 'listRepositories'>
  readonly comparison: {
    hasRepositories(): Promise<boolean>
    listUnreconciled(runId: string, page: PageRequest): Promise<string[]>
    markReconciled(repositories: readonly string[]): Promise<void>
  }
  /** The ports of the work on some repositories. Its counts are added to those of the run with its position. */
  readonly portsOfGroup: (counts: ReconcileCounts, names: readonly string[]) => ReconcileRepositoriesPorts
  /** Number of groups of repositories that are reconciled at the same time. */
  readonly concurrency: number
  /** Maximum number of repositories of a group. They share a token and statements. */
  readonly groupSize: number
  /** Whether an error means that the registry is available and refused this one request. */
  readonly isRefusal: (error: unknown) => boolean
  /** Runs between two steps. An error of it ends the work. */
  readonly checkpoint: () => Promise<void>
  /** Milliseconds since the epoch. */
  readonly now: () => number
}

/** The position of a run. First it walks the registry's catalog, then the repositories that only the index has. */
export interface RunPosition {
  readonly step: 'registry' | 'index'
  /** The repository after which the walk of the catalog continues. */
  readonly lastName: string | undefined
}

export interface ReconcileAllOptions {
  readonly runId: string
  readonly position: RunPosition
  /** Stores the position and the counts. Throws if another process has taken the run over. */
  readonly savePosition: (position: RunPosition) => Promise<void>
  /** Whether the registry may have no repository at all although the index has some. */
  readonly believeEmpty: boolean
}

/** This many repositories in a row that the registry refuses to list count as a failure of the registry. */
const MAX_REFUSED = 5

/**
 * Brings the whole index to the registry's state, from a saved position on: first every repository in the registry's
 * catalog, then every other one of the index. Works on several groups of repositories at the same time. Saves the last
 * repository of the unbroken sequence of finished ones. Throws if the registry or the database is unavailable; the next
 * call resumes from the saved position.
 */
export async function reconcileAll(ports: ReconcileAllPorts, options: ReconcileAllOptions): Promise<void> {
  const { comparison } = ports
  const { runId, position, savePosition } = options
  if (position.step === 'registry') {
    await visitAll(ports, walkCatalog(ports, position.lastName), (lastName) =>
      savePosition({ step: 'registry', lastName }),
    )
    await refuseEmptyRegistry(ports, options)
    await savePosition({ step: 'index', lastName: undefined })
  }
  const names = readPages((page) => comparison.listUnreconciled(runId, page))
  await visitAll(ports, names, () => savePosition({ step: 'index', lastName: undefined }))
}

/** Maximum length of all names of a group together: they are in one token, which is in a header. */
const MAX_NAMES_LENGTH = 2000

/**
 * Reconciles groups of repositories concurrently, and saves the position in their order. Throws when the registry has
 * refused several repositories in a row: that is a failure of the registry.
 */
async function visitAll(
  ports: ReconcileAllPorts,
  names: AsyncIterable<string>,
  savePosition: (lastName: string) => Promise<void>,
): Promise<void> {
  const { comparison, portsOfGroup, concurrency, groupSize, isRefusal, now } = ports
  let refused = 0
  const onEnd = (failure: unknown) => {
    refused = isRefusal(failure) ? refused + 1 : 0
    if (refused >= MAX_REFUSED) throw failure
  }
  await workInOrder(inGroups(names, groupSize), {
    limit: concurrency,
    now,
    work: async (group) => {
      const counts = readCounts()
      return { counts, reconciled: await reconcileRepositories(portsOfGroup(counts, group), group, onEnd) }
    },
    save: async (finished) => {
      const reconciled = finished.flatMap(({ result }) => result.reconciled)
      if (reconciled.length > 0) await comparison.markReconciled(reconciled)
      for (const { result } of finished) addCounts(ports.counts, result.counts)
      await savePosition(finished.at(-1)?.item.at(-1) ?? '')
    },
  })
}

async function* inGroups(names: AsyncIterable<string>, size: number): AsyncGenerator<string[], void> {
  let [group, length] = [[] as string[], 0]
  for await (const name of names) {
    if (group.length === size || (group.length > 0 && length + name.length > MAX_NAMES_LENGTH)) {
      yield group
      ;[group, length] = [[], 0]
    }
    group.push(name)
    length += name.length
  }
  if (group.length > 0) yield group
}

/** Every name in the registry's catalog after a name, some names more than once. */
async function* walkCatalog(
  { registry, counts, checkpoint }: ReconcileAllPorts,
  after: string | undefined,
): AsyncGenerator<string, void> {
  for (let last = after; ;) {
    await checkpoint()
    yield* skippedAfter(last)
    const { names, next } = await registry.listRepositories(last)
    counts.namesInRegistry += names.length
    yield* names
    if (next === undefined) return
    if (next === last) throw new Error(`the registry's catalog does not advance past ${JSON.stringify(next)}`)
    last = next
  }
}

/**
 * Names that distribution leaves out of a catalog page which starts after this name. It walks `a/0` before `a`, because
 * `0` sorts before `_layers`, but compares names as if `a` came first. Seen on 2.8.2.
 */
function skippedAfter(last = ''): string[] {
  const components = last.split('/')
  return components
    .keys()
    .filter((index) => index > 0 && /^\d/.test(components[index] ?? ''))
    .map((index) => components.slice(0, index).join('/'))
    .toArray()
}

/**
 * A registry whose storage is not mounted looks like an empty one. Reconciling would then empty the index and lose the
 * scopes of its repositories, which the registry does not know.
 */
async function refuseEmptyRegistry(
  { comparison, counts }: ReconcileAllPorts,
  { believeEmpty }: ReconcileAllOptions,
): Promise<void> {
  if (believeEmpty || counts.namesInRegistry > 0 || !(await comparison.hasRepositories())) return
  throw new Error(
    'the registry lists no repository, but the index has some; check that the storage of the registry is mounted. ' +
      'If the registry is empty: npm run reconcile -- --believe-empty',
  )
}
