import { isRepositoryName } from '@registry-manager/oci'
import type { RegistryClient } from '@registry-manager/registry-client'
import { UnrecordableError } from '../index/ensure-manifest.ts'
import type { PageRequest } from '../index/repository.ts'
import type { ReconcileRepositoryPorts } from './reconcile-one.ts'
import { reconcileRepository } from './reconcile-one.ts'
import { readPages } from './paginate.ts'
import { attempt } from './work-item.ts'

export type ReconcileAllPorts = ReconcileRepositoryPorts & {
  readonly registry: Pick<RegistryClient, 'listRepositories'>
  readonly comparison: {
    hasRepositories(): Promise<boolean>
    listUnreconciled(runId: string, page: PageRequest): Promise<string[]>
  }
  /** Whether an error means that the registry is available and refused this one request. */
  readonly isRefusal: (error: unknown) => boolean
}

/** How far a run is: first it walks the registry's catalog, then the repositories that only the index has. */
export interface RunPosition {
  readonly step: 'registry' | 'index'
  /** The repository after which the walk of the catalog continues. */
  readonly lastName: string | undefined
}

export interface ReconcileAllOptions {
  readonly runId: string
  readonly position: RunPosition
  /** Stores the position. Throws if another process has taken the run over. */
  readonly savePosition: (position: RunPosition) => Promise<void>
  /** Whether the registry may have no repository at all although the index has some. */
  readonly believeEmpty: boolean
}

/** How many repositories in a row the registry must fail to list until that counts as a failure of the registry. */
const MAX_REFUSED = 5

/**
 * Brings the whole index to the registry's state, from a saved position on: first every repository in the registry's
 * catalog, then every other one of the index. Sends one request at a time. Throws if the registry or the database is
 * unavailable; the next call resumes from the saved position.
 */
export async function reconcileAll(ports: ReconcileAllPorts, options: ReconcileAllOptions): Promise<void> {
  const { comparison } = ports
  const { runId, position, savePosition } = options
  const visit = createVisit(ports)
  if (position.step === 'registry') {
    await walkCatalog(ports, position.lastName, async (name) => {
      await visit(name)
      await savePosition({ step: 'registry', lastName: name })
    })
    await refuseEmptyRegistry(ports, options)
    await savePosition({ step: 'index', lastName: undefined })
  }
  for await (const name of readPages((page) => comparison.listUnreconciled(runId, page))) {
    await visit(name)
    await savePosition({ step: 'index', lastName: undefined })
  }
}

/** Calls `onName` for every name in the registry's catalog after a name, for some names more than once. */
async function walkCatalog(
  { registry, counts, checkpoint }: ReconcileAllPorts,
  after: string | undefined,
  onName: (name: string) => Promise<void>,
): Promise<void> {
  for (let last = after; ;) {
    await checkpoint()
    for (const name of skippedAfter(last)) await onName(name)
    const { names, next } = await registry.listRepositories(last)
    counts.namesInRegistry += names.length
    for (const name of names) await onName(name)
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

/**
 * Returns a function that reconciles one repository. It throws when the registry has refused several repositories in a
 * row: that is a failure of the registry. The next call resumes after the last saved repository.
 */
function createVisit(ports: ReconcileAllPorts): (name: string) => Promise<void> {
  let refused = 0
  return async (name) => {
    await ports.checkpoint()
    const item = { kind: 'repository', item: name, repository: name, reference: '' } as const
    const error = await attempt(ports, item, async () => {
      if (!isRepositoryName(name))
        throw new UnrecordableError(
          `the registry lists ${JSON.stringify(name)}, which is not a valid repository name`,
        )
      await reconcileRepository(ports, name)
    })
    refused = ports.isRefusal(error) ? refused + 1 : 0
    if (refused === MAX_REFUSED) throw error
  }
}
