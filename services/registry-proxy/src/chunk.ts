/** What of an upload is known when another part of it comes. */
export interface Chunk {
  /** The Content-Range header, which in this API is two offsets and nothing else. */
  readonly contentRange: string
  /** The Content-Length header; undefined when the chunk's end is not told in advance. */
  readonly contentLength: string | undefined
  /** The Range header of the upload's status: what the registry has of it. */
  readonly uploaded: string
}

const RANGE = /^(\d+)-(\d+)$/

/**
 * Why a chunk cannot be taken, undefined when it can. Chunks come one after another, each beginning where the last
 * one ended. distribution 2.8 takes any, and appends it.
 * Source: OCI distribution-spec 1.1, "Pushing a blob in chunks".
 */
export function faultOfChunk({ contentRange, contentLength, uploaded }: Chunk): string | undefined {
  const range = RANGE.exec(contentRange)
  if (range === null) return 'Content-Range must be two offsets, such as 0-1023'
  const [start, end] = [Number(range[1]), Number(range[2])]
  if (end < start) return 'Content-Range must not end before it begins'
  if (contentLength !== undefined && Number(contentLength) !== end - start + 1) {
    return `Content-Range is of ${end - start + 1} bytes, Content-Length of ${contentLength}`
  }
  const last = Number(RANGE.exec(uploaded)?.[2])
  // distribution says 0-0 of an empty upload, and of one byte too: the digest at the end tells them apart.
  const expected = last === 0 ? [0, 1] : [last + 1]
  if (expected.includes(start)) return undefined
  return `Content-Range begins at ${start}, the upload goes on at ${expected[0]}`
}
