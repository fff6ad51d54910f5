import type { RegistryClient } from '@registry-manager/registry-client'
import { UPLOAD_SECONDS } from '../delete/delete-blobs.ts'

/** A blob of a repository by one of its digests. */
export interface BlobName {
  readonly repository: string
  readonly digest: string
}

export interface ResolveNamesPorts {
  readonly registry: Pick<RegistryClient, 'headBlob'>
  readonly names: {
    listUnresolved(after: BlobName | undefined, limit: number): Promise<BlobName[]>
    forgetUpload(name: BlobName, uploadSeconds: number): Promise<void>
  }
  readonly blobAliases: { aliasBlob(repository: string, sha512: string, sha256: string): Promise<void> }
}

const PAGE_SIZE = 100

/**
 * Asks the registry for the sha256 of blobs that only a sha512 names: uploads whose alias was not recorded, because
 * image-manager was unavailable when they ended, and blobs of manifests that reconcile has adopted. Until such an
 * upload is resolved, every claim is empty: any condemned sha256 could be that of the upload.
 */
export async function resolveNames(
  { registry, names, blobAliases }: ResolveNamesPorts,
  signal?: AbortSignal,
): Promise<void> {
  let page = await names.listUnresolved(undefined, PAGE_SIZE)
  while (page.length > 0) {
    for (const name of page) {
      signal?.throwIfAborted()
      const sha256 = await registry.headBlob(name.repository, name.digest)
      if (sha256 === undefined) await names.forgetUpload(name, UPLOAD_SECONDS)
      else await blobAliases.aliasBlob(name.repository, name.digest, sha256)
    }
    page = await names.listUnresolved(page.at(-1), PAGE_SIZE)
  }
}
