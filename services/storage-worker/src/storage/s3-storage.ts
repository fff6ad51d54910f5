import { explainError } from '@registry-manager/http'
import { REGISTRY_FOLDER, blobFolder } from './layout.ts'
import { listBucketBlobs, listBucketRepositories } from './list-bucket.ts'
import type { S3Bucket } from './s3-bucket.ts'
import type { FailedRemoval, Removal, Storage } from './storage.ts'
import { TIME_IS_OVER } from './storage.ts'

/** The largest number of keys in a request. Source: Amazon S3 API, DeleteObjects. */
const KEYS = 1000

/** The storage of a registry in a bucket. `rootDirectory` is that of distribution's S3 driver. */
export function createS3Storage(bucket: S3Bucket, rootDirectory: string): Storage {
  // Source: distribution, registry/storage/driver/s3-aws, s3Path.
  const root = `${rootDirectory.replace(/\/+$/, '')}/${REGISTRY_FOLDER}/`.replace(/^\/+/, '')
  const [blobs, repositories] = [`${root}blobs/`, `${root}repositories/`]

  return {
    batch: KEYS,

    async removeBlobs(digests, time) {
      const outcomes: Removal[] = []
      for (let at = 0; at < digests.length; at += KEYS) {
        const some = digests.slice(at, at + KEYS)
        outcomes.push(time.isOver() ? all('failed', some, TIME_IS_OVER) : await remove(some, time.signal))
      }
      return {
        removed: outcomes.flatMap(({ removed }) => removed),
        failed: outcomes.flatMap(({ failed }) => failed),
        unknown: outcomes.flatMap(({ unknown }) => unknown),
      }
    },

    listBlobs: (signal) => listBucketBlobs(bucket, blobs, signal),

    async *listRepositories(signal) {
      // Without repositories every blob would look unused. Only a new registry has neither.
      if (!(await bucket.hasObjects(repositories, signal)) && (await bucket.hasObjects(blobs, signal)))
        throw new Error(`the bucket has blobs but nothing below ${repositories}`)
      yield* listBucketRepositories(bucket, repositories, signal)
    },

    check: async () => void (await bucket.hasObjects(blobs)),
    close: () => bucket.close(),
  }

  /** Removes blobs with one request. */
  async function remove(digests: readonly string[], signal: AbortSignal): Promise<Removal> {
    const digestOf = new Map(digests.map((digest) => [`${blobs}${blobFolder(digest)}/data`, digest]))
    try {
      const { Deleted = [], Errors = [] } = await bucket.deleteObjects([...digestOf.keys()], signal)
      const failed: FailedRemoval[] = []
      for (const { Key = '', Code = 'an error', Message = 'without a message' } of Errors) {
        const digest = digestOf.get(Key)
        if (digest !== undefined) failed.push({ digest, reason: `S3 returned ${Code}: ${Message}` })
        digestOf.delete(Key)
      }
      const removed: { digest: string; bytes: null }[] = []
      for (const { Key = '' } of Deleted) {
        const digest = digestOf.get(Key)
        if (digest !== undefined) removed.push({ digest, bytes: null })
        digestOf.delete(Key)
      }
      const unknown = all(
        'unknown',
        [...digestOf.values()],
        'the response of S3 does not say which objects were deleted',
      ).unknown
      return { removed, failed, unknown }
    } catch (error) {
      // After any other failure than a refusal, S3 may still execute the request.
      return all(wasRefused(error) ? 'failed' : 'unknown', digests, explainError(error))
    }
  }
}

/** The same outcome for all digests. */
function all(outcome: 'failed' | 'unknown', digests: readonly string[], reason: string): Removal {
  const none: Removal = { removed: [], failed: [], unknown: [] }
  return { ...none, [outcome]: digests.map((digest) => ({ digest, reason })) }
}

/** Whether S3 itself refused a request. */
function wasRefused(error: unknown): boolean {
  const status = Object(Object(error).$metadata).httpStatusCode as number | undefined
  return status !== undefined && status >= 400 && status < 500
}
