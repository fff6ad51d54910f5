import type { RegistryClient } from '@registry-manager/registry-client'
import { parseFound } from '../index/ensure-manifest.ts'
import type { Manifest } from '../index/manifest.ts'
import type { SyncTagPorts } from '../index/sync-tag.ts'
import { syncTag } from '../index/sync-tag.ts'
import { verifyManifest } from '../index/verify-manifest.ts'

/** A tag of the registry, with its manifest. */
export interface FoundTag {
  readonly repository: string
  readonly tag: string
  readonly manifest: Manifest
}

export interface Adoption {
  /** Whether the index did not have the manifest, or had it as pending only. */
  readonly isNew: boolean
  /** Whether the tag was set. */
  readonly isTagged: boolean
}

export type AdoptTagPorts = SyncTagPorts & {
  readonly registry: Pick<RegistryClient, 'getManifest'>
  readonly adoption: {
    /**
     * Records tags and their manifests: all of them or, if it throws, none. A tag is not set if the index has one of
     * that name by now. Returns one result for each tag, in their order.
     */
    adoptTags(found: readonly FoundTag[]): Promise<readonly Adoption[]>
  }
}

/** Reads a tag from the registry that the index does not have. Undefined if the registry does not have it any more. */
export async function readTag(
  { registry }: AdoptTagPorts,
  repository: string,
  tag: string,
): Promise<FoundTag | undefined> {
  const found = await registry.getManifest(repository, tag)
  return found && { repository, tag, manifest: parseFound(found) }
}

/**
 * Records a tag that was read from the registry.
 *
 * The tag is not verified. A deletion may run between the request and the commit of the statement: it found no row to
 * remove. The caller reads the number of deletions before it calls `readTag` and again after this. A deletion changes
 * the registry, then raises the number, then reads the index (`ContestPushesPorts`). So if both numbers are equal,
 * every deletion either shows in the request or finds the recorded tag. Otherwise the caller calls `verifyAdopted`.
 */
export async function adoptTag(ports: AdoptTagPorts, found: FoundTag): Promise<void> {
  const [adoption] = await ports.adoption.adoptTags([found])
  if (adoption?.isTagged !== true) await syncTag(ports, found.repository, found.tag)
}

/** Compares an adopted tag with the registry again, and removes its manifest if the registry has lost that. */
export async function verifyAdopted(
  ports: AdoptTagPorts,
  repository: string,
  tag: string,
  adopted: string,
): Promise<void> {
  const digest = await syncTag(ports, repository, tag)
  if (digest !== adopted) await verifyManifest(ports, repository, adopted)
}
