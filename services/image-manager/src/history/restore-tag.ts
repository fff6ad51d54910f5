import { isRegistryRefusal } from '@registry-manager/registry-client'
import type { Push } from '../push/push.ts'
import type { ReadManifestPorts } from '../index/read-manifest.ts'
import type { Repository } from '../index/repository.ts'
import type { TagPeriod } from './tag-history.ts'

export type RestoreTagPorts = Pick<ReadManifestPorts, 'manifestLookup' | 'manifestBudget'> & {
  readonly tagHistory: {
    findPeriodAt(repositoryId: string, tag: string, time: Date): Promise<TagPeriod | undefined>
    findPeriodOf(repositoryId: string, tag: string, digest: string): Promise<TagPeriod | undefined>
  }
  readonly registry: {
    putManifest(
      repository: string,
      reference: string,
      manifest: { readonly mediaType: string; readonly raw: Buffer },
    ): Promise<void>
  }
  readonly push: Pick<Push, 'announce' | 'record' | 'discard'>
}

/** The manifest that a restore sets the tag to: the one that it named at a time, or one of its digests. */
export type RestoreTarget = { readonly at: Date } | { readonly digest: string }

export type RestoreOutcome =
  | { readonly outcome: 'restored'; readonly digest: string }
  /** The history has no such time or digest. */
  | { readonly outcome: 'unknown' }
  /** The repository does not have the manifest, or something that it references, any more. */
  | { readonly outcome: 'gone'; readonly digest: string }
  | { readonly outcome: 'denied'; readonly reason: string }
  /** Too many manifests are in memory, or the repository is being deleted. */
  | { readonly outcome: 'busy'; readonly reason: string }

/**
 * Points a tag at a manifest that it has named before, by a push of that manifest. So the rules for pushes apply, and
 * the event is that of a push.
 */
export async function restoreTag(
  ports: RestoreTagPorts,
  { id, name }: Repository,
  tag: string,
  target: RestoreTarget,
): Promise<RestoreOutcome> {
  const { tagHistory, manifestLookup, manifestBudget } = ports
  const period = await ('at' in target
    ? tagHistory.findPeriodAt(id, tag, target.at)
    : tagHistory.findPeriodOf(id, tag, target.digest))
  if (period === undefined) return { outcome: 'unknown' }
  const { digest } = period
  const size = await manifestLookup.measureManifest(name, { digest })
  if (size === undefined) return { outcome: 'gone', digest }
  const release = await manifestBudget.take('', size)
  if (release === undefined) return { outcome: 'busy', reason: 'too many manifests are being read at once' }
  try {
    const found = await manifestLookup.findManifest(name, { digest })
    return found === undefined ? { outcome: 'gone', digest } : await pushAgain(ports, name, tag, found)
  } finally {
    release()
  }
}

async function pushAgain(
  { push, registry }: RestoreTagPorts,
  repository: string,
  tag: string,
  { digest, mediaType, raw }: { readonly digest: string; readonly mediaType: string; readonly raw: Buffer },
): Promise<RestoreOutcome> {
  const announced = await push.announce({ repository, reference: { tag }, type: mediaType, raw })
  switch (announced.outcome) {
    case 'index-only':
      return { outcome: 'restored', digest }
    case 'being-deleted':
      return { outcome: 'busy', reason: `the repository ${repository} is being deleted` }
    case 'refused':
      if (announced.code === 'DENIED') return { outcome: 'denied', reason: announced.message }
      return { outcome: 'gone', digest }
    case 'announced':
  }
  const { id } = announced
  try {
    await registry.putManifest(repository, tag, { mediaType, raw })
  } catch (error) {
    // Any other error does not say whether the registry has moved the tag: the push stays pending until that is known.
    if (!isRegistryRefusal(error)) throw error
    await push.discard(id)
    return { outcome: 'gone', digest }
  }
  // If the registry lacks a blob of the manifest, it has refused the manifest.
  const recorded = await push.record(id)
  return recorded?.digest === digest ? { outcome: 'restored', digest } : { outcome: 'gone', digest }
}
