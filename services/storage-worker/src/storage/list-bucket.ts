import { NoSuchKey } from '@aws-sdk/client-s3'
import { RESERVED_COMPONENT, isDigest } from '@registry-manager/oci'
import { digestOfBlobFolder, digestOfLink } from './layout.ts'
import type { S3Bucket } from './s3-bucket.ts'
import type { RepositoryEntry, StoredBlob } from './storage.ts'

/** No component of a repository's name begins with `_`. */
const LINK = /\/_(?:layers|manifests\/revisions)\/(sha256|sha512)\/([0-9a-f]+)\/link$/
const UPLOAD = /\/_uploads\/[^/]+\/(startedat|data)$/

/** The blobs below the prefix `blobs/`. */
export async function* listBucketBlobs(
  bucket: S3Bucket,
  prefix: string,
  signal: AbortSignal,
): AsyncIterable<readonly StoredBlob[]> {
  for await (const objects of bucket.listObjects(prefix, signal)) {
    const blobs: StoredBlob[] = []
    for (const { Key = '', Size, LastModified } of objects) {
      if (!Key.endsWith('/data')) continue
      const digest = digestOfBlobFolder(Key.slice(prefix.length, -'/data'.length))
      if (digest === undefined) continue
      if (Size === undefined || LastModified === undefined)
        throw new Error(`S3 returned no size or time of ${Key}`)
      blobs.push({ digest, bytes: Size, modifiedAt: LastModified })
    }
    yield blobs
  }
}

/** The links and uploads below the prefix `repositories/`. */
export async function* listBucketRepositories(
  bucket: S3Bucket,
  prefix: string,
  signal: AbortSignal,
): AsyncIterable<readonly RepositoryEntry[]> {
  for await (const objects of bucket.listObjects(prefix, signal)) {
    const entries: RepositoryEntry[] = []
    for (const { Key = '', Size = 0 } of objects) {
      if (Key.startsWith(`${prefix}${RESERVED_COMPONENT}/`)) continue
      const [, algorithm, hex] = LINK.exec(Key) ?? []
      const [, file] = UPLOAD.exec(Key) ?? []
      if (algorithm !== undefined) {
        const digests = await linkedBy(bucket, Key, `${algorithm}:${hex}`, signal)
        for (const digest of digests) entries.push({ kind: 'link', digest })
      } else if (file === 'startedat') entries.push({ kind: 'uploads', count: 1, bytes: 0 })
      else if (file === 'data') entries.push({ kind: 'uploads', count: 0, bytes: Size })
    }
    yield entries
  }
  // S3 lists a multipart upload as an object only after its completion. The parts of an abandoned upload use space,
  // too.
  for await (const bytes of bucket.listMultipartUploads(prefix, signal))
    yield [{ kind: 'uploads', count: 0, bytes }]
}

/** The digests that a link names. A link in a folder of sha512 contains the sha256 of the blob. */
async function linkedBy(
  bucket: S3Bucket,
  key: string,
  digest: string,
  signal: AbortSignal,
): Promise<readonly string[]> {
  if (!isDigest(digest)) return []
  if (digest.startsWith('sha256:')) return [digest]
  const text = await bucket.readText(key, signal).catch((error: unknown) => {
    // A deletion removed the link after it was listed.
    if (!(error instanceof NoSuchKey)) throw error
    return ''
  })
  const target = digestOfLink(text)
  return target === undefined || target === digest ? [digest] : [digest, target]
}
