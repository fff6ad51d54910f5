import type { Admission } from '../adapters/admissions.ts'
import type { RegistryClient } from '../adapters/registry-client.ts'
import type { Manifest } from './manifest.ts'
import { recordAdmission } from './record.ts'
import type { RemovePorts } from './remove.ts'
import { deleteManifest } from './remove.ts'

/** How many blobs are looked for at once. */
const AT_ONCE = 8

/**
 * Writes down what became of an admitted manifest, as `recordAdmission` does. Where its repository was deleted
 * between the registry's taking it and now, the blobs that it names may be gone with the rest: then it goes, too.
 * Looked at only once it is written down, so that a deletion which begins later finds it.
 */
export async function recordPush(ports: RemovePorts, admission: Admission): Promise<Manifest | undefined> {
  const manifest = await recordAdmission(ports, admission)
  const { repository, admittedAt } = admission
  if (manifest === undefined || !(await ports.index.isNewSince(repository, admittedAt))) return manifest
  if (await isWhole(ports.registry, repository, manifest)) return manifest
  await deleteManifest(ports, repository, manifest.digest, { undone: true })
  return undefined
}

/** Whether the registry has all that a manifest names, as it had when it took it. */
async function isWhole(registry: RegistryClient, repository: string, manifest: Manifest): Promise<boolean> {
  const elsewhere = layersElsewhere(manifest)
  const named = manifest.references.filter(({ digest }) => !elsewhere.has(digest))
  const look = ({ digest, kind }: (typeof named)[number]) =>
    kind === 'manifest' ? registry.headManifest(repository, digest) : registry.headBlob(repository, digest)
  for (let at = 0; at < named.length; at += AT_ONCE) {
    const found = await Promise.all(named.slice(at, at + AT_ONCE).map(look))
    if (found.includes(undefined)) return false
  }
  return true
}

/** Layers that name where they are had need not be here. Source: OCI image-spec 1.1, descriptor.md, `urls`. */
function layersElsewhere({ raw }: Manifest): ReadonlySet<unknown> {
  const { layers } = JSON.parse(raw.toString('utf8')) as { layers?: unknown }
  const descriptors = Array.isArray(layers) ? (layers as ({ digest?: unknown; urls?: unknown } | null)[]) : []
  return new Set(descriptors.filter((layer) => layer?.urls !== undefined).map((layer) => layer?.digest))
}
