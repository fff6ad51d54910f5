import { createHash, randomUUID } from 'node:crypto'
import { MEDIA_TYPES } from '../packages/oci/src/index.ts'
import type { ImageReferences } from './push.ts'

const CONFIG_TYPE = 'application/vnd.oci.image.config.v1+json'

export interface ImageTarget {
  readonly origin: string
  readonly repository: string
  readonly authorization: string
  /** Layers that the repository has. */
  readonly layers: ImageReferences['layers']
}

export interface Pushing {
  /** The times of the pushes that ended between two times of `performance.now`, in milliseconds. */
  timesBetween(begin: number, end: number): number[]
  /** Ends the pushes. Throws if one has failed. */
  stop(): Promise<void>
}

/** Pushes images with a new config blob and a new tag on some connections until it is stopped. */
export function pushImages(target: ImageTarget, connections: number): Pushing {
  const pushed: { readonly end: number; readonly time: number }[] = []
  const over = new AbortController()
  const lane = async () => {
    while (!over.signal.aborted) {
      const begin = performance.now()
      await pushImage(target)
      const end = performance.now()
      pushed.push({ end, time: end - begin })
    }
  }
  const lanes = Promise.all(Array.from({ length: connections }, lane))
  // `stop` reports the failure.
  lanes.catch(() => {})
  return {
    timesBetween: (begin, end) =>
      pushed.flatMap((push) => (push.end >= begin && push.end <= end ? [push.time] : [])),
    async stop() {
      over.abort()
      await lanes
    },
  }
}

async function pushImage({ origin, repository, authorization, layers }: ImageTarget): Promise<void> {
  const tag = randomUUID()
  const send = async (method: string, url: string | URL, expected: number, type?: string, body?: string) => {
    const headers = { authorization, ...(type && { 'content-type': type }) }
    const response = await fetch(url, { method, headers, body })
    const text = await response.text()
    if (response.status !== expected) throw new Error(`${method} ${url}: ${response.status} ${text}`)
    return new URL(response.headers.get('location') ?? '', origin)
  }
  const config = JSON.stringify({ architecture: 'amd64', os: 'linux', config: { Labels: { tag } } })
  const digest = `sha256:${createHash('sha256').update(config).digest('hex')}`
  const closing = await send('POST', `${origin}/v2/${repository}/blobs/uploads/`, 202)
  closing.searchParams.set('digest', digest)
  await send('PUT', closing, 201, 'application/octet-stream', config)
  const manifest = {
    schemaVersion: 2,
    mediaType: MEDIA_TYPES.ociManifest,
    config: { mediaType: CONFIG_TYPE, digest, size: config.length },
    layers,
  }
  const url = `${origin}/v2/${repository}/manifests/${tag}`
  await send('PUT', url, 201, MEDIA_TYPES.ociManifest, JSON.stringify(manifest))
}
