import type { RegistryRequest } from '@registry-manager/oci'
import { parseRegistryRequest } from '@registry-manager/oci'

type Upload = Pick<Extract<RegistryRequest, { kind: 'upload' }>, 'repository' | 'id' | 'state'>

export interface UploadStates {
  /** Notes the state in a Location of the registry, where it is an upload's. */
  note(location: string): void
  /** The newest state of an upload, where it is newer than the one that the client has; undefined otherwise. */
  findNewer(upload: Upload): string | undefined
}

/** How many uploads are known; the oldest are forgotten. About 1 kB each. */
const MAX_UPLOADS = 10_000

/**
 * Knows how far uploads are, from the answers that pass through this process. distribution signs the offset
 * into the `_state` of every Location. 2.8 cancels an upload that is asked for with an older state, even by
 * GET: a client whose last answer was lost could not resume it. 3.x does not look at the offset of a GET.
 * nginx sends all requests of an upload to the same replica (deploy/nginx, `registry-proxy-by-upload`). Responses to
 * chunks without a Content-Range do not pass here, because nginx forwards those itself; nor did those before a restart:
 * then the registry gets the client's state.
 * Source: distribution 2.8, registry/handlers/blobupload.go, `ResumeBlobUpload`.
 */
export function createUploadStates(maxUploads = MAX_UPLOADS): UploadStates {
  const states = new Map<string, { readonly state: string; readonly offset: number }>()
  return {
    note(location) {
      const url = URL.parse(location, 'http://registry')
      const parsed = url && parseRegistryRequest('GET', url.pathname + url.search)
      if (parsed === null || !('request' in parsed) || parsed.request.kind !== 'upload') return
      const { repository, id, state } = parsed.request
      const offset = offsetOf(state)
      if (state === undefined || offset === undefined) return
      const key = `${repository}/${id}`
      states.delete(key)
      states.set(key, { state, offset })
      const [oldest] = states.keys()
      if (states.size > maxUploads && oldest !== undefined) states.delete(oldest)
    },

    findNewer({ repository, id, state }) {
      const known = states.get(`${repository}/${id}`)
      const offset = offsetOf(state)
      return known !== undefined && offset !== undefined && offset < known.offset ? known.state : undefined
    },
  }
}

/**
 * Bytes of the signature that stands before the JSON: HMAC-SHA256. Source: distribution,
 * registry/handlers/hmac.go.
 */
const SIGNATURE_BYTES = 32

/** The offset that a state is of. Not verified: the registry does that. */
export function offsetOf(state = ''): number | undefined {
  try {
    const json = Buffer.from(state, 'base64url').subarray(SIGNATURE_BYTES).toString('utf8')
    const { Offset: offset } = JSON.parse(json) as { Offset?: unknown }
    return Number.isSafeInteger(offset) ? (offset as number) : undefined
  } catch {
    return undefined
  }
}
