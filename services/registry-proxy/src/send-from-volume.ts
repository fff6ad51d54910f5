import type { FileHandle } from 'node:fs/promises'
import { access, open } from 'node:fs/promises'
import { join } from 'node:path'
import type { FastifyReply, FastifyRequest } from 'fastify'
import type { Content } from './locate-content.ts'

/** Blobs up to this size are read at once. Most manifests and image configurations are smaller. */
const SMALL_BYTES = 64 * 1024

/** Bytes of one read of a larger blob. */
const READ_BYTES = 1024 * 1024

const CONDITIONS = ['if-match', 'if-none-match', 'if-modified-since', 'if-unmodified-since', 'if-range']

/** The first byte of a response and the one after its last. */
interface Span {
  readonly start: number
  readonly end: number
  /** Whether the request has a range. A range may include all bytes. */
  readonly isRange: boolean
}

/**
 * Sends content from the registry's volume, if the repository has it. Returns false if the registry has to respond: the
 * content is missing, or the request has a condition or an unusual range. nginx does the same for CONTENT_FROM=volume
 * (deploy/nginx/templates/server-content-volume.conf.template).
 * Source of the layout: distribution, registry/storage/paths.go.
 */
export async function sendFromVolume(
  volume: string,
  content: Content,
  request: FastifyRequest,
  reply: FastifyReply,
): Promise<boolean> {
  if (CONDITIONS.some((name) => request.headers[name] !== undefined)) return false
  const file = await openContent(volume, content)
  if (file === undefined) return false
  let span: Span | undefined
  let body: Buffer | undefined
  try {
    const { size } = await file.stat()
    span = spanOf(request, content, size)
    if (span !== undefined) {
      reply.headers(headersOf(content, span, size)).code(span.isRange ? 206 : 200)
      body = await readSmall(file, span, request)
    }
  } catch (error) {
    await file.close()
    throw error
  }
  if (span === undefined || body !== undefined) await file.close()
  if (span === undefined) return false
  // Fastify destroys the stream when the client disconnects, and the stream closes the file.
  const { start, end } = span
  reply.send(body ?? file.createReadStream({ start, end: end - 1, highWaterMark: READ_BYTES }))
  return true
}

/** Undefined if the repository does not have the content, or if its bytes are missing. */
async function openContent(
  volume: string,
  { kind, repository, digest }: Content,
): Promise<FileHandle | undefined> {
  const root = join(volume, 'docker', 'registry', 'v2')
  const hex = digest.slice('sha256:'.length)
  const links = kind === 'blobs' ? '_layers' : join('_manifests', 'revisions')
  try {
    await access(join(root, 'repositories', repository, links, 'sha256', hex, 'link'))
    return await open(join(root, 'blobs', 'sha256', hex.slice(0, 2), hex, 'data'))
  } catch {
    return undefined
  }
}

/**
 * The part of the content that a request reads. Undefined if the registry has to judge its range.
 * Source: RFC 9110 §14.1.2.
 */
function spanOf(
  { method, headers: { range } }: FastifyRequest,
  { kind }: Content,
  size: number,
): Span | undefined {
  if (range === undefined) return { start: 0, end: size, isRange: false }
  if (method !== 'GET' || kind !== 'blobs') return undefined
  const [, first, last] = /^bytes=(\d{1,15})-(\d{0,15})$/.exec(range) ?? []
  if (first === undefined || last === undefined) return undefined
  const start = Number(first)
  const end = last === '' ? size : Math.min(Number(last) + 1, size)
  return start < end ? { start, end, isRange: true } : undefined
}

/** The bytes of a short response. Undefined for a long one, which is sent as a stream. */
async function readSmall(
  file: FileHandle,
  { start, end }: Span,
  { method }: FastifyRequest,
): Promise<Buffer | undefined> {
  if (method === 'HEAD') return Buffer.alloc(0)
  if (end - start > SMALL_BYTES) return undefined
  const bytes = Buffer.alloc(end - start)
  const { bytesRead } = await file.read(bytes, 0, bytes.length, start)
  return bytes.subarray(0, bytesRead)
}

/** The headers that distribution sends. */
function headersOf(
  { kind, digest, mediaType }: Content,
  span: Span,
  size: number,
): Record<string, string | number> {
  const { start, end, isRange } = span
  const headers: Record<string, string | number> = {
    'content-type': mediaType ?? 'application/octet-stream',
    'content-length': end - start,
    'docker-content-digest': digest,
    etag: `"${digest}"`,
  }
  if (kind === 'blobs') {
    headers['accept-ranges'] = 'bytes'
    headers['cache-control'] = 'private, max-age=31536000'
  }
  if (isRange) headers['content-range'] = `bytes ${start}-${end - 1}/${size}`
  return headers
}
