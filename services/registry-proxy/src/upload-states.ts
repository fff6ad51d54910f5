import { parseRegistryRequest } from '@registry-manager/oci'
import { LRUCache } from 'lru-cache'
import type { UploadRequest } from './upstream-request.ts'

export interface UploadStates {
  /** Remembers the state in a Location of the registry, if it is that of an upload. */
  remember(location: string): void
  /** The newest state of an upload, if it is newer than the client's; undefined otherwise. */
  findNewer(upload: Pick<UploadRequest, 'repository' | 'id' | 'state'>): string | undefined
}

/** About 1 kB each. The least recently used state is dropped first. */
const MAX_UPLOADS = 10_000

/**
 * Remembers the offsets of uploads from the registry's responses. distribution signs the offset into the `_state` of
 * every Location. 2.8 cancels an upload if a request has an older state, even a GET: a client that lost the last
 * response could not resume the upload. 3.x ignores the offset of a GET. nginx sends all requests of an upload to the
 * same replica (deploy/nginx, `registry-proxy-by-upload`). Two kinds of responses are unknown here: those to chunks
 * without Content-Range, because nginx forwards them itself, and those before a restart. The registry then gets the
 * client's state.
 * Source: distribution 2.8, registry/handlers/blobupload.go, `ResumeBlobUpload`.
 */
export function createUploadStates(maxUploads = MAX_UPLOADS): UploadStates {
  const states = new LRUCache<string, { readonly state: string; readonly offset: number }>({
    max: maxUploads,
  })
  return {
    remember(location) {
      const url = URL.parse(location, 'http://registry')
      const parsed = url && parseRegistryRequest('GET', url.pathname + url.search)
      if (parsed === null || !('request' in parsed) || parsed.request.kind !== 'upload') return
      const { repository, id, state } = parsed.request
      const offset = offsetOf(state)
      if (state !== undefined && offset !== undefined) states.set(`${repository}/${id}`, { state, offset })
    },

    findNewer({ repository, id, state }) {
      const newest = states.get(`${repository}/${id}`)
      const offset = offsetOf(state)
      return newest !== undefined && offset !== undefined && offset < newest.offset ? newest.state : undefined
    },
  }
}

/** Length of the HMAC-SHA256 before the JSON. Source: distribution, registry/handlers/hmac.go. */
const SIGNATURE_BYTES = 32

/** The offset in an upload's state. The registry verifies the signature, not this function. */
export function offsetOf(state = ''): number | undefined {
  try {
    const json = Buffer.from(state, 'base64url').subarray(SIGNATURE_BYTES).toString('utf8')
    const { Offset: offset } = JSON.parse(json) as { Offset?: unknown }
    return Number.isSafeInteger(offset) ? (offset as number) : undefined
  } catch {
    return undefined
  }
}
