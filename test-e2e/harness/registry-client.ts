import type { Algorithm, Made } from './manifests.ts'
import { digestOf } from './manifests.ts'

export interface RegistryResponse {
  readonly status: number
  /** Names are in lower case. */
  readonly headers: Readonly<Record<string, string>>
  readonly body: Buffer
  /** The parsed body of a JSON response. */
  readonly json: ReturnType<typeof JSON.parse>
  /** Code of the first error. Source: OCI distribution-spec 1.1, "Error Codes". */
  readonly code: string | undefined
}

export interface Sending {
  readonly headers?: Readonly<Record<string, string>>
  readonly body?: string | Buffer
  /** Sends the body without a Content-Length. */
  readonly streamed?: boolean
}

export type RegistryClient = ReturnType<typeof createRegistryClient>

const OCTETS = 'application/octet-stream'

/**
 * A client of the registry API that returns every response unchanged. All requests have the same Authorization header.
 * Source: OCI distribution-spec 1.1, "Endpoints".
 */
export function createRegistryClient(base: string, authorization: string) {
  const send = async (method: string, target: string, sending: Sending = {}): Promise<RegistryResponse> => {
    const { headers, body, streamed } = sending
    const response = await fetch(new URL(target, base), {
      method,
      headers: { authorization, ...headers },
      body: (streamed === true ? ReadableStream.from([Buffer.from(body ?? '')]) : body) as never,
      redirect: 'manual',
      ...(streamed === true && { duplex: 'half' as const }),
    })
    const bytes = Buffer.from(await response.arrayBuffer())
    const isJson = /\bjson$/.test(response.headers.get('content-type')?.split(';', 1)[0] ?? '')
    const json = isJson && bytes.length > 0 ? JSON.parse(bytes.toString()) : undefined
    const code: string | undefined = json?.errors?.[0]?.code
    return {
      status: response.status,
      headers: Object.fromEntries(response.headers),
      body: bytes,
      json,
      code,
    }
  }

  /** Begins an upload. Returns its location. */
  const beginUpload = async (repository: string): Promise<string> => {
    const begun = await send('POST', `/v2/${repository}/blobs/uploads/`)
    return locationOf(expect(begun, 202))
  }

  /** Sends a chunk with its range, or as a stream without one. */
  const sendChunk = async (location: string, body: Buffer, range?: string): Promise<RegistryResponse> => {
    const headers = { 'content-type': OCTETS, ...(range !== undefined && { 'content-range': range }) }
    return send('PATCH', location, { headers, body, streamed: range === undefined })
  }

  /** Closes an upload, with the last bytes if there are any. */
  const closeUpload = async (location: string, digest: string, body?: Buffer, range?: string) => {
    const url = new URL(location, base)
    url.searchParams.set('digest', digest)
    const headers = { 'content-type': OCTETS, ...(range !== undefined && { 'content-range': range }) }
    return send('PUT', url.href, { headers, body })
  }

  const pushBlob = async (repository: string, blob: Buffer, algorithm: Algorithm = 'sha256') => {
    const digest = digestOf(blob, algorithm)
    expect(await closeUpload(await beginUpload(repository), digest, blob), 201)
    return digest
  }

  const putManifest = async (repository: string, reference: string, { descriptor, bytes }: Made) =>
    send('PUT', `/v2/${repository}/manifests/${reference}`, {
      headers: { 'content-type': descriptor.mediaType },
      body: bytes,
    })

  /** Pushes the contents of a manifest, but not the manifest. */
  const pushContents = async (repository: string, made: Made): Promise<void> => {
    for (const blob of made.blobs) await pushBlob(repository, blob, made.algorithm)
    for (const child of made.children) await push(repository, child)
  }

  /** Pushes a manifest with its contents, by digest or by tag. Throws on failure. */
  const push = async (
    repository: string,
    made: Made,
    reference = made.descriptor.digest,
  ): Promise<RegistryResponse> => {
    await pushContents(repository, made)
    return expect(await putManifest(repository, reference, made), 201)
  }

  return { send, beginUpload, sendChunk, closeUpload, pushBlob, putManifest, pushContents, push }
}

/** Returns the Location of a response. Throws if there is none. */
export function locationOf({ status, headers: { location } }: RegistryResponse): string {
  if (location === undefined) throw new Error(`a response ${status} without a Location`)
  return location
}

function expect(received: RegistryResponse, status: number): RegistryResponse {
  if (received.status === status) return received
  throw new Error(`${received.status} instead of ${status}: ${received.body}`)
}
