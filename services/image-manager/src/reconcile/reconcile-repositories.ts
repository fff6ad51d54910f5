import { isRepositoryName, isReservedName } from '@registry-manager/oci'
import { UnrecordableError } from '../index/ensure-manifest.ts'
import { createAdoptionBatch } from './adoption-batch.ts'
import type { ReconcileRepositoryPorts, RepositoryState } from './reconcile-one.ts'
import { completeRepository, syncRepository } from './reconcile-one.ts'
import { attempt } from './work-item.ts'

export interface RepositoryStates {
  /** By name. */
  readonly states: ReadonlyMap<string, RepositoryState>
  /** The number of deletions before the registry is read. See `adoptTag`. */
  readonly deletions: string
}

export type ReconcileRepositoriesPorts = ReconcileRepositoryPorts & {
  readonly comparison: {
    getStates(names: readonly string[]): Promise<RepositoryStates>
    findIncomplete(
      names: readonly string[],
    ): Promise<{ readonly incomplete: ReadonlySet<string>; readonly deletions: string }>
  }
}

/**
 * Brings some repositories of the index to the registry's state, one after the other. They share the statements that
 * read the index before and after, and those that record new tags. Skips repositories that are being deleted, those
 * without content, and those of the trash. A failure of one repository is recorded, passed to `onEnd`, and does not
 * affect the others. Returns the names of the reconciled ones. `onEnd` is called for every repository; an error of it
 * ends the work.
 */
export async function reconcileRepositories(
  ports: ReconcileRepositoriesPorts,
  names: readonly string[],
  onEnd: (failure: unknown) => void = () => {},
): Promise<string[]> {
  const { comparison, checkpoint } = ports
  const tryOne = async (repository: string, work: () => Promise<unknown>) => {
    await checkpoint()
    const item = { kind: 'repository', item: repository, repository, reference: '' } as const
    return attempt(ports, item, work)
  }

  const { states, deletions } = await comparison.getStates(names.filter(isRepositoryName))
  const batch = createAdoptionBatch(ports)
  const synced = new Map<string, Awaited<ReturnType<typeof syncRepository>>>()
  for (const name of new Set(names)) {
    if (isReservedName(name)) continue
    const failure = await tryOne(name, async () => {
      const state = states.get(name)
      if (state === undefined)
        throw new UnrecordableError(
          `the registry lists ${JSON.stringify(name)}, which is not a valid repository name`,
        )
      synced.set(name, await syncRepository(ports, name, state, batch))
    })
    if (failure !== undefined || synced.get(name) === undefined) onEnd(failure)
  }
  await batch.flush()

  const found = [...synced].flatMap(([name, work]) => (work === undefined ? [] : [{ name, work }]))
  if (found.length === 0) return []
  const after = await comparison.findIncomplete(found.map(({ name }) => name))
  const reconciled: string[] = []
  for (const { name, work } of found) {
    const failure = await tryOne(name, () =>
      completeRepository(ports, work, {
        isIncomplete: after.incomplete.has(name),
        deletions: { before: deletions, after: after.deletions },
      }),
    )
    if (failure === undefined) reconciled.push(name)
    onEnd(failure)
  }
  return reconciled
}
