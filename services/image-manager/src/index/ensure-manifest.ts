import type { Manifest } from './manifest.ts'
import { parseManifest } from './manifest.ts'

interface ManifestBytes {
  readonly mediaType: string
  readonly raw: Buffer
  /** The registry's own digest. */
  readonly digest: string
}

export interface EnsureManifestPorts {
  readonly registry: {
    headManifest(repository: string, reference: string): Promise<string | undefined>
    getManifest(repository: string, reference: string): Promise<ManifestBytes | undefined>
  }
  readonly manifests: {
    hasManifest(repository: string, digest: string): Promise<boolean>
    isPending(repository: string, digest: string): Promise<boolean>
    /** Records a pending manifest. False if the index does not have its bytes. */
    recordPending(repository: string, digest: string): Promise<boolean>
    putManifest(repository: string, manifest: Manifest): Promise<unknown>
  }
}

/** The registry has a manifest that the index cannot record: a malformed one, or one of schema 1. */
export class UnrecordableError extends Error {
  constructor(message: string) {
    super(message)
    this.name = 'UnrecordableError'
  }
}

/**
 * Records a manifest that the registry has, unless the index has it. The index has the bytes already if a push of the
 * manifest is pending. Returns false if the registry no longer has the manifest.
 */
export async function ensureManifest(
  { registry, manifests }: EnsureManifestPorts,
  repository: string,
  digest: string,
): Promise<boolean> {
  if (await manifests.hasManifest(repository, digest)) return true
  if (await manifests.isPending(repository, digest)) {
    if ((await registry.headManifest(repository, digest)) === undefined) return false
    if (await manifests.recordPending(repository, digest)) return true
  }
  const found = await registry.getManifest(repository, digest)
  if (found === undefined) return false
  await manifests.putManifest(repository, parseFound({ ...found, digest }))
  return true
}

/** Parses a manifest that the registry has. Throws an UnrecordableError if the index cannot record it. */
export function parseFound({ raw, mediaType, digest }: ManifestBytes): Manifest {
  const parsed = parseManifest(raw, mediaType)
  if ('malformed' in parsed)
    throw new UnrecordableError(`the registry's manifest ${digest} is malformed: ${parsed.malformed}`)
  // The digest of a schema 1 manifest is not that of its bytes.
  // Source: distribution, "Image Manifest Version 2, Schema 1".
  if (parsed.manifest.digest !== digest)
    throw new UnrecordableError(
      `the manifest that the registry returns for ${digest} has the digest ${parsed.manifest.digest}; schema 1 is not supported`,
    )
  return parsed.manifest
}
