import { Agent, fetch } from 'undici'
import { ProviderUnavailable } from '../provider.ts'

/** Sends one HTTP request and returns the whole response. */
export type BoundedFetch = (url: string, options?: object) => Promise<Response>

export interface FetchBounds {
  /** Deadline of a request and its response, in milliseconds. */
  readonly timeoutMs: number
  /** The largest body of a response. */
  readonly maxBytes: number
  /** Trusted certificates in PEM form, instead of the public authorities. */
  readonly ca?: string | undefined
}

/**
 * Creates a `fetch` for a provider that may be slow, broken or hostile: it has a deadline for the whole response,
 * limits its bytes and follows no redirect. Throws ProviderUnavailable, also for a 5xx.
 */
export function createBoundedFetch({ timeoutMs, maxBytes, ca }: FetchBounds): BoundedFetch {
  const dispatcher = new Agent({ connect: { timeout: timeoutMs, ...(ca !== undefined && { ca }) } })
  return async (url, options = {}) => {
    const { origin, pathname } = new URL(url)
    const place = `${origin}${pathname}`
    try {
      const signal = AbortSignal.timeout(timeoutMs)
      const response = await fetch(url, { ...options, dispatcher, redirect: 'manual', signal })
      if (response.status >= 500) {
        await response.body?.cancel()
        throw new ProviderUnavailable(`${place} returned ${response.status}`)
      }
      const body = await readBody(response.body, maxBytes, place)
      const headers = new Headers([...response.headers])
      // The body is decoded already.
      for (const name of ['content-encoding', 'content-length']) headers.delete(name)
      const isEmpty = [204, 205, 304].includes(response.status)
      return new Response(isEmpty ? null : body, { status: response.status, headers })
    } catch (cause) {
      if (cause instanceof ProviderUnavailable) throw cause
      throw new ProviderUnavailable(`${place} did not respond within ${timeoutMs} ms`, { cause })
    }
  }
}

async function readBody(
  body: AsyncIterable<Uint8Array> | null,
  maxBytes: number,
  place: string,
): Promise<Buffer<ArrayBuffer>> {
  const chunks: Uint8Array[] = []
  let size = 0
  // Leaving the loop cancels the stream.
  for await (const chunk of body ?? []) {
    size += chunk.length
    if (size > maxBytes) throw new ProviderUnavailable(`${place} sent more than ${maxBytes} bytes`)
    chunks.push(chunk)
  }
  return Buffer.concat(chunks)
}
