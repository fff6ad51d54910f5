import type { RemovePorts } from '../delete/remove-ports.ts'
import type { RegistryClient } from '@registry-manager/registry-client'

/** What a run of reconcile did, in the order in which it is told. */
export const COUNTS = [
  /** Names in the registry's catalog. */
  'namesInRegistry',
  'repositories',
  'tags',
  'manifestsAdopted',
  'tagsChanged',
  'tagsRemoved',
  'manifestsRemoved',
  'admissionsSettled',
  'deletionsFinished',
  'unreadable',
  'registryRequests',
] as const

export type CountName = (typeof COUNTS)[number]
export type ReconcileCounts = Record<CountName, number>

/** Counts as they were written down; what was not counted is 0. */
export function readCounts(stored: Readonly<Record<string, number>> = {}): ReconcileCounts {
  return Object.fromEntries(COUNTS.map((name) => [name, stored[name] ?? 0])) as ReconcileCounts
}

/** Counts in words. */
export function describeCounts(counts: ReconcileCounts): string {
  const { repositories, tags, manifestsAdopted, tagsChanged, tagsRemoved, manifestsRemoved } = counts
  const { admissionsSettled, deletionsFinished, unreadable, registryRequests } = counts
  return [
    `${repositories} repositories and ${tags} tags looked at with ${registryRequests} requests`,
    `${manifestsAdopted} manifests adopted`,
    `${tagsChanged} tags set`,
    `${tagsRemoved} tags and ${manifestsRemoved} manifests taken away`,
    `${admissionsSettled} pending pushes settled`,
    `${deletionsFinished} deletions finished`,
    `${unreadable} unreadable`,
  ].join(', ')
}

/** The ports, with what is changed in the index counted. */
export function countChanges<Ports extends Pick<RemovePorts, 'manifests' | 'tags'>>(
  ports: Ports,
  counts: ReconcileCounts,
): Ports {
  const { manifests, tags } = ports
  return {
    ...ports,
    manifests: {
      ...manifests,
      async putManifest(...args: Parameters<typeof manifests.putManifest>) {
        const result = await manifests.putManifest(...args)
        counts.manifestsAdopted += 1
        return result
      },
      async removeManifest(...args: Parameters<typeof manifests.removeManifest>) {
        const removed = await manifests.removeManifest(...args)
        if (removed) counts.manifestsRemoved += 1
        return removed
      },
    },
    tags: {
      ...tags,
      async setTag(...args: Parameters<typeof tags.setTag>) {
        const isSet = await tags.setTag(...args)
        if (isSet) counts[args[2] === undefined ? 'tagsRemoved' : 'tagsChanged'] += 1
        return isSet
      },
    },
  }
}

/** The registry, with what is asked of it counted. */
export function countRequests(registry: RegistryClient, counts: ReconcileCounts): RegistryClient {
  const counted = Object.entries(registry).map(([name, ask]: [string, (...args: never[]) => unknown]) => [
    name,
    (...args: never[]) => {
      counts.registryRequests += 1
      return ask(...args)
    },
  ])
  return Object.fromEntries(counted) as RegistryClient
}
