import { isRepositoryName } from '@registry-manager/oci'
import type { RunPosition } from './reconcile-runs.ts'
import { inPages } from './paginate.ts'
import { reconcileRepository } from './reconcile-repository.ts'
import type { RecoverPorts } from './recover.ts'
import { UnrecordableError } from '../index/ensure-manifest.ts'
import { attempt } from './work-item.ts'

export interface ReconcileOptions {
  readonly runId: string
  readonly position: RunPosition
  /** Writes down how far the run is. Throws when it is another process's by now. */
  readonly save: (position: RunPosition) => Promise<void>
  /** Whether a registry that names no repository at all is believed. */
  readonly believeEmpty: boolean
}

/** So many repositories one after another that the registry cannot list are no fault of theirs. */
const MAX_REFUSED = 5

/**
 * Brings the whole index to what the registry has, from a run's position on: first every repository that the
 * registry names, then every one that the index has beside those. One request at a time.
 * Throws what the registry or the database throw when they are away; the next call goes on from what was saved.
 */
export async function reconcile(ports: RecoverPorts, options: ReconcileOptions): Promise<void> {
  const { position, save } = options
  const visit = createVisit(ports)
  if (position.step === 'registry') {
    await walkRegistry(ports, position.lastName, async (name) => {
      await visit(name)
      await save({ step: 'registry', lastName: name })
    })
    await believe(ports, options)
    await save({ step: 'index', lastName: undefined })
  }
  for await (const name of inPages((after) => ports.queries.listUnreconciled(options.runId, after))) {
    await visit(name)
    await save({ step: 'index', lastName: undefined })
  }
}

/** Calls for every name in the registry's catalog, after one of them; for some more than once. */
async function walkRegistry(
  { registry, counts, between }: RecoverPorts,
  after: string | undefined,
  onName: (name: string) => Promise<void>,
): Promise<void> {
  for (let last = after; ;) {
    await between()
    for (const name of lostBefore(last)) await onName(name)
    const { names, next } = await registry.listRepositories(last)
    counts.namesInRegistry += names.length
    for (const name of names) await onName(name)
    if (next === undefined) return
    if (next === last) throw new Error(`the registry's catalog does not go on after ${JSON.stringify(next)}`)
    last = next
  }
}

/**
 * Names that a page of distribution's catalog leaves out after this one. It finds `a/0` before `a` (as `0` comes
 * before `_layers`), and pages as if it came after: seen on 2.8.2.
 */
function lostBefore(last = ''): string[] {
  const components = last.split('/')
  return components
    .keys()
    .filter((index) => index > 0 && /^\d/.test(components[index] ?? ''))
    .map((index) => components.slice(0, index).join('/'))
    .toArray()
}

/**
 * Storage that is not mounted looks like an empty registry, and the index would be emptied after it: with scopes
 * that the registry does not know.
 */
async function believe({ queries, counts }: RecoverPorts, { believeEmpty }: ReconcileOptions): Promise<void> {
  if (believeEmpty || counts.namesInRegistry > 0 || !(await queries.hasRepositories())) return
  throw new Error(
    'the registry names no repository at all, and the index holds some: is its storage there? ' +
      'If it is truly empty: npm run reconcile -- --believe-empty',
  )
}

/**
 * Reconciles one repository after another. Gives up when the registry cannot list several in a row: that is the
 * registry's fault, and the next call goes on after the last that was saved.
 */
function createVisit(ports: RecoverPorts): (name: string) => Promise<void> {
  let refused = 0
  return async (name) => {
    await ports.between()
    const item = { kind: 'repository', item: name, repository: name, reference: '' } as const
    const fault = await attempt(ports, item, async () => {
      if (!isRepositoryName(name))
        throw new UnrecordableError('the registry names a repository that can be none')
      await reconcileRepository(ports, name)
    })
    refused = ports.isRefusal(fault) ? refused + 1 : 0
    if (refused === MAX_REFUSED) throw fault
  }
}
