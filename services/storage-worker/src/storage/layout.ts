import { isDigest } from '@registry-manager/oci'

/*
 * The layout of the registry's storage, the same on a file system and in S3.
 * Source: distribution, registry/storage/paths.go.
 */

/** The folder of everything, below the root of the storage. */
export const REGISTRY_FOLDER = 'docker/registry/v2'

/** The folder of a blob below `blobs`, such as `sha256/ab/abcd…`. Throws for a string that is not a digest. */
export function blobFolder(digest: string): string {
  if (!isDigest(digest)) throw new Error(`${JSON.stringify(digest)} is not a digest`)
  const [algorithm = '', hex = ''] = digest.split(':')
  return `${algorithm}/${hex.slice(0, 2)}/${hex}`
}

/** The digest of a folder of `blobs`, such as `sha256/ab/abcd…`. Undefined for a folder of another form. */
export function digestOfBlobFolder(folder: string): string | undefined {
  const [algorithm = '', prefix = '', hex = '', ...rest] = folder.split('/')
  const digest = `${algorithm}:${hex}`
  return rest.length === 0 && isDigest(digest) && hex.startsWith(prefix) && prefix.length === 2
    ? digest
    : undefined
}

/**
 * The digest that the content of a link names. A link in a folder of sha512 names the same blob by its sha256.
 * Undefined for any other content.
 */
export function digestOfLink(text: string): string | undefined {
  const digest = text.trim()
  return isDigest(digest) ? digest : undefined
}
