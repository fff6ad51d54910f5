import type { NewEvent } from '@registry-manager/events'
import type { RegistryClient } from '@registry-manager/registry-client'
import type { Adoption } from './adopt-tag.ts'

/**
 * The counts of a run of reconcile. The names are labels of a metric, and keys of the counts that are stored with a
 * run.
 */
export const COUNTS = [
  /** Names in the registry's catalog. */
  'namesInRegistry',
  'repositories',
  'tags',
  'manifestsAdopted',
  'tagsChanged',
  'tagsRemoved',
  /** Immutable tags that were moved or deleted in the registry directly. */
  'immutableTagsChanged',
  'manifestsRemoved',
  'pushesRecovered',
  'deletionsFinished',
  'failures',
  'registryRequests',
] as const

export type CountName = (typeof COUNTS)[number]
export type ReconcileCounts = Record<CountName, number>

export interface CountedPorts {
  readonly adoption: {
    adoptTags(...args: never[]): Promise<readonly Adoption[]>
  }
  readonly manifests: {
    putManifest(...args: never[]): Promise<unknown>
    recordPending(...args: never[]): Promise<boolean>
    removeManifest(...args: never[]): Promise<boolean>
  }
  readonly tags: {
    setTag(
      repository: string,
      tag: string,
      digest: string | undefined,
      revision: string | undefined,
    ): Promise<boolean>
  }
}

/** Stored counts; a count that is missing is 0. */
export function readCounts(stored: Readonly<Record<string, number>> = {}): ReconcileCounts {
  return Object.fromEntries(COUNTS.map((name) => [name, stored[name] ?? 0])) as ReconcileCounts
}

/** Adds counts to others. */
export function addCounts(to: ReconcileCounts, counts: ReconcileCounts): void {
  for (const name of COUNTS) to[name] += counts[name]
}

/** The counts as a sentence for operators. */
export function describeCounts(counts: ReconcileCounts): string {
  const { repositories, tags, manifestsAdopted, tagsChanged, tagsRemoved, manifestsRemoved } = counts
  const { immutableTagsChanged, pushesRecovered, deletionsFinished, failures, registryRequests } = counts
  return [
    `${repositories} repositories and ${tags} tags checked with ${registryRequests} requests`,
    `${manifestsAdopted} manifests adopted`,
    `${tagsChanged} tags set`,
    `${tagsRemoved} tags and ${manifestsRemoved} manifests removed`,
    `${immutableTagsChanged} immutable tags changed in the registry`,
    `${pushesRecovered} pending pushes recovered`,
    `${deletionsFinished} deletions finished`,
    `${failures} failures`,
  ].join(', ')
}

/** The changes of the index that a run makes by itself. Recovered pushes and deletions have their own events. */
const CHANGES = [
  'manifestsAdopted',
  'manifestsRemoved',
  'tagsChanged',
  'tagsRemoved',
  'immutableTagsChanged',
] as const

/** The event of a run: one with the counts of its changes; none if it changed nothing. */
export function eventsOfRun(run: string, counts: ReconcileCounts): NewEvent[] {
  if (CHANGES.every((name) => counts[name] === 0)) return []
  const changes = Object.fromEntries(CHANGES.map((name) => [name, counts[name]]))
  return [{ action: 'reconcile', target: { kind: 'index' }, detail: { run, ...changes } }]
}

/** Wraps the ports that change the index, so that their changes are counted. */
export function countChanges<Ports extends CountedPorts>(ports: Ports, counts: ReconcileCounts): Ports {
  const { adoption, manifests, tags } = ports
  return {
    ...ports,
    adoption: {
      ...adoption,
      async adoptTags(...args: never[]) {
        const adoptions = await adoption.adoptTags(...args)
        counts.manifestsAdopted += adoptions.filter(({ isNew }) => isNew).length
        counts.tagsChanged += adoptions.filter(({ isTagged }) => isTagged).length
        return adoptions
      },
    },
    manifests: {
      ...manifests,
      async putManifest(...args: never[]) {
        const result = await manifests.putManifest(...args)
        counts.manifestsAdopted += 1
        return result
      },
      async recordPending(...args: never[]) {
        const isRecorded = await manifests.recordPending(...args)
        if (isRecorded) counts.manifestsAdopted += 1
        return isRecorded
      },
      async removeManifest(...args: never[]) {
        const isRemoved = await manifests.removeManifest(...args)
        if (isRemoved) counts.manifestsRemoved += 1
        return isRemoved
      },
    },
    tags: {
      ...tags,
      async setTag(
        repository: string,
        tag: string,
        digest: string | undefined,
        revision: string | undefined,
      ) {
        const isSet = await tags.setTag(repository, tag, digest, revision)
        if (isSet) counts[digest === undefined ? 'tagsRemoved' : 'tagsChanged'] += 1
        return isSet
      },
    },
  }
}

/** Wraps a registry client, so that its requests are counted. */
export function countRequests(registry: RegistryClient, counts: ReconcileCounts): RegistryClient {
  const counted = Object.entries(registry).map(([name, send]: [string, (...args: never[]) => unknown]) => [
    name,
    (...args: never[]) => {
      counts.registryRequests += 1
      return send(...args)
    },
  ])
  return Object.fromEntries(counted) as RegistryClient
}
