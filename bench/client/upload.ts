import { createCipheriv, createHash, randomBytes } from 'node:crypto'
import type { IncomingMessage } from 'node:http'
import { Agent, request } from 'node:http'
import { Readable } from 'node:stream'
import { pipeline } from 'node:stream/promises'

const CHUNK = Buffer.alloc(256 * 1024)

export interface Upload {
  readonly origin: string
  readonly repository: string
  readonly bytes: number
  /** Authorization header; undefined for the bare registry. */
  readonly authorization?: string
  /** The same key generates the same bytes: 32 hexadecimal digits. A random key by default. */
  readonly key?: string
}

export interface UploadResult {
  readonly seconds: number
  readonly digest: string
}

/**
 * Pushes a blob of random bytes as docker does: POST, PATCH in chunked transfer coding, PUT. The bytes are generated
 * while they are sent and never stored. The digest is computed in an earlier pass, before the clock starts.
 */
export async function runUpload(upload: Upload): Promise<UploadResult> {
  const { origin, repository, bytes, authorization } = upload
  const key = upload.key === undefined ? randomBytes(16) : Buffer.from(upload.key, 'hex')
  const hash = createHash('sha256')
  for (const chunk of randomBody(key, bytes)) hash.update(chunk)
  const digest = `sha256:${hash.digest('hex')}`

  const agent = new Agent({ keepAlive: true, maxSockets: 1 })
  const headers = authorization === undefined ? {} : { authorization }
  const send = async (method: string, url: URL, expected: number, body?: Iterable<Buffer>) => {
    const type = body && { 'content-type': 'application/octet-stream' }
    const outgoing = request(url, { method, agent, headers: { ...headers, ...type } })
    const answered = new Promise<IncomingMessage>((resolve, reject) => {
      outgoing.on('response', resolve).on('error', reject)
    })
    const sent = body ? pipeline(Readable.from(body, { objectMode: false }), outgoing) : outgoing.end()
    const [response] = await Promise.all([answered, sent])
    response.resume()
    if (response.statusCode !== expected) throw new Error(`${method} ${url.pathname}: ${response.statusCode}`)
    return new URL(response.headers.location ?? '', origin)
  }

  const begin = performance.now()
  const started = await send('POST', new URL(`/v2/${repository}/blobs/uploads/`, origin), 202)
  const closing = await send('PATCH', started, 202, randomBody(key, bytes))
  closing.searchParams.set('digest', digest)
  await send('PUT', closing, 201)
  const seconds = (performance.now() - begin) / 1000
  agent.destroy()
  return { seconds, digest }
}

/** Generates the same random bytes for the same key: a cipher's key stream, several gigabytes per second. */
function* randomBody(key: Buffer, bytes: number): Generator<Buffer> {
  const cipher = createCipheriv('aes-128-ctr', key, Buffer.alloc(16))
  for (let left = bytes; left > 0; left -= CHUNK.length) {
    yield cipher.update(CHUNK.subarray(0, Math.min(left, CHUNK.length)))
  }
}
