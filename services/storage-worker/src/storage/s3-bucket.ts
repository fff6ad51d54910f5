import {
  DeleteObjectsCommand,
  GetObjectCommand,
  ListMultipartUploadsCommand,
  ListObjectsV2Command,
  ListPartsCommand,
  S3Client,
} from '@aws-sdk/client-s3'
import type { DeleteObjectsCommandOutput, _Object } from '@aws-sdk/client-s3'
import type { S3Config } from './storage-settings.ts'

/** Timeout of one attempt of a request to S3, in milliseconds. */
const ATTEMPT_MS = 20_000
const CONNECT_MS = 5000
const READ_ATTEMPTS = 4

/** Requests about one bucket. */
export interface S3Bucket {
  /** Sends one request and never retries it: S3 could execute a retry after the claim has ended. */
  deleteObjects(keys: readonly string[], signal: AbortSignal): Promise<DeleteObjectsCommandOutput>
  /** All objects whose keys have a prefix, by pages. */
  listObjects(prefix: string, signal: AbortSignal): AsyncIterable<readonly _Object[]>
  hasObjects(prefix: string, signal?: AbortSignal): Promise<boolean>
  readText(key: string, signal: AbortSignal): Promise<string>
  /** The sizes of unfinished multipart uploads whose keys have a prefix. */
  listMultipartUploads(prefix: string, signal: AbortSignal): AsyncIterable<number>
  close(): void
}

/** `onRequest` is called with the operation of each request. */
export function createS3Bucket(config: S3Config, onRequest: (operation: string) => void): S3Bucket {
  const [reading, deleting] = [createClient(config, READ_ATTEMPTS), createClient(config, 1)]
  const { bucket: Bucket } = config

  const partsOf = async (Key: string, UploadId: string, abortSignal: AbortSignal) => {
    let bytes = 0
    let PartNumberMarker: string | undefined
    do {
      onRequest('ListParts')
      const page = await reading.send(new ListPartsCommand({ Bucket, Key, UploadId, PartNumberMarker }), {
        abortSignal,
      })
      for (const { Size = 0 } of page.Parts ?? []) bytes += Size
      PartNumberMarker = page.IsTruncated ? required(page.NextPartNumberMarker) : undefined
    } while (PartNumberMarker !== undefined)
    return bytes
  }

  return {
    deleteObjects(keys, abortSignal) {
      onRequest('DeleteObjects')
      const Delete = { Objects: keys.map((Key) => ({ Key })) }
      return deleting.send(new DeleteObjectsCommand({ Bucket, Delete }), { abortSignal })
    },

    async *listObjects(Prefix, abortSignal) {
      let ContinuationToken: string | undefined
      do {
        onRequest('ListObjectsV2')
        const command = new ListObjectsV2Command({ Bucket, Prefix, ContinuationToken })
        const page = await reading.send(command, { abortSignal })
        yield page.Contents ?? []
        ContinuationToken = page.IsTruncated ? required(page.NextContinuationToken) : undefined
      } while (ContinuationToken !== undefined)
    },

    async hasObjects(Prefix, abortSignal) {
      onRequest('ListObjectsV2')
      const command = new ListObjectsV2Command({ Bucket, Prefix, MaxKeys: 1 })
      return ((await reading.send(command, { abortSignal })).Contents ?? []).length > 0
    },

    async readText(Key, abortSignal) {
      onRequest('GetObject')
      const { Body } = await reading.send(new GetObjectCommand({ Bucket, Key }), { abortSignal })
      return (await Body?.transformToString()) ?? ''
    },

    async *listMultipartUploads(Prefix, abortSignal) {
      let KeyMarker: string | undefined
      let UploadIdMarker: string | undefined
      do {
        onRequest('ListMultipartUploads')
        const command = new ListMultipartUploadsCommand({ Bucket, Prefix, KeyMarker, UploadIdMarker })
        const page = await reading.send(command, { abortSignal })
        for (const { Key, UploadId } of page.Uploads ?? [])
          yield await partsOf(required(Key), required(UploadId), abortSignal)
        KeyMarker = page.IsTruncated ? required(page.NextKeyMarker) : undefined
        UploadIdMarker = page.NextUploadIdMarker
      } while (KeyMarker !== undefined)
    },

    close() {
      reading.destroy()
      deleting.destroy()
    },
  }
}

function createClient(config: S3Config, maxAttempts: number): S3Client {
  const { region, endpoint, forcePathStyle, keys } = config
  return new S3Client({
    region,
    ...(endpoint !== undefined && { endpoint, forcePathStyle }),
    // Without keys, the SDK finds those of the environment, of workload identity, or of the instance.
    ...(keys && { credentials: keys }),
    maxAttempts,
    requestHandler: {
      connectionTimeout: CONNECT_MS,
      requestTimeout: ATTEMPT_MS,
      // Without it, the SDK only logs a warning.
      throwOnRequestTimeout: true,
    },
  })
}

/** A field without which a list would silently be incomplete. */
function required(field: string | undefined): string {
  if (field === undefined) throw new Error('S3 returned an incomplete page of a list')
  return field
}
