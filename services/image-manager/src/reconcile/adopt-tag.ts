import type { RegistryClient } from '@registry-manager/registry-client'
import { parseFound } from '../index/ensure-manifest.ts'
import type { Manifest } from '../index/manifest.ts'
import type { SyncTagPorts } from '../index/sync-tag.ts'
import { syncTag } from '../index/sync-tag.ts'
import { verifyManifest } from '../index/verify-manifest.ts'

export interface Adoption {
  /** Whether the index did not have the manifest, or had it as pending only. */
  readonly isNew: boolean
  /** Whether the tag was set. */
  readonly isTagged: boolean
}

export type AdoptTagPorts = SyncTagPorts & {
  readonly registry: Pick<RegistryClient, 'getManifest'>
  readonly adoption: {
    /** Records a tag and its manifest. The tag is not set if the index has one of that name by now. */
    adoptTag(repository: string, tag: string, manifest: Manifest): Promise<Adoption>
  }
}

/**
 * Adopts a tag of the registry that the index does not have: one request and one statement. Returns the digest that
 * was recorded; undefined if the registry does not have the tag any more.
 *
 * The tag is not verified. A deletion may run between the request and the commit of the statement: it found no row to
 * remove. The caller reads the number of deletions before it calls this and again afterwards. A deletion changes the
 * registry, then raises the number, then reads the index (`ContestPushesPorts`). So if both numbers are equal, every
 * deletion either shows in the request or finds what was recorded. Otherwise the caller calls `verifyAdopted`.
 */
export async function adoptTag(
  ports: AdoptTagPorts,
  repository: string,
  tag: string,
): Promise<string | undefined> {
  const found = await ports.registry.getManifest(repository, tag)
  if (found === undefined) return undefined
  const manifest = parseFound(found)
  const { isTagged } = await ports.adoption.adoptTag(repository, tag, manifest)
  if (!isTagged) await syncTag(ports, repository, tag)
  return manifest.digest
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
