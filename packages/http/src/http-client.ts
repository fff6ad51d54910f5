import { setTimeout as sleep } from 'node:timers/promises'
import type { Static, TSchema } from 'typebox'
import { Value } from 'typebox/value'
import type { Dependency } from './dependency.ts'

/** A call to a dependency failed. The cause has the details. Neither holds a secret. */
export class ServiceCallError extends Error {
  /** HTTP status of the response; undefined when there was none. */
  readonly status: number | undefined
  readonly dependency: Dependency
  /** The problem's detail (RFC 9457) in the response, if it has one. */
  readonly detail: string | undefined
  /** The response's Retry-After, if it is a number of seconds. */
  readonly retryAfterSeconds: number | undefined

  constructor(
    message: string,
    { dependency, status, detail, retryAfterSeconds, cause }: ServiceCallErrorOptions,
  ) {
    super(message, { cause })
    this.name = 'ServiceCallError'
    this.status = status
    this.dependency = dependency
    this.detail = detail
    this.retryAfterSeconds = retryAfterSeconds
  }
}

export interface ServiceCallErrorOptions {
  readonly dependency: Dependency
  readonly status?: number | undefined
  readonly detail?: string | undefined
  readonly retryAfterSeconds?: number | undefined
  readonly cause?: unknown
}

export interface ServiceClientOptions {
  readonly dependency: Dependency
  /** URL of the service's internal port. */
  readonly url: string
  /** The service credential, sent as a Bearer token. */
  readonly credential: string
  /** Deadline of one call, its retries included, in milliseconds. */
  readonly timeoutMs?: number
}

export interface ServiceClient {
  get<Schema extends TSchema>(path: string, schema: Schema): Promise<Static<Schema>>
  /**
   * Gets what may be the same as before; undefined when its ETag is still the one that is given.
   * Source: RFC 9110 §13.1.2.
   */
  getIfChanged<Schema extends TSchema>(
    path: string,
    schema: Schema,
    etag: string | undefined,
  ): Promise<{ readonly value: Static<Schema>; readonly etag: string | undefined } | undefined>
  post<Schema extends TSchema>(path: string, body: unknown, schema: Schema): Promise<Static<Schema>>
  /** Sends bytes as they are. */
  postBytes<Schema extends TSchema>(path: string, bytes: Buffer, schema: Schema): Promise<Static<Schema>>
  delete<Schema extends TSchema>(path: string, schema: Schema): Promise<Static<Schema>>
}

/** Before a call that was broken off is made again: at once, for there may be another replica; then a little later. */
const PAUSES_MS = [0, 50, 150]

/** How it shows that a process died, or was not there: Node's error codes, and undici's. */
const BROKEN_OFF = new Set(['ECONNREFUSED', 'ECONNRESET', 'EPIPE', 'UND_ERR_SOCKET'])

/**
 * A client for another service's internal port: a deadline on every call, answers checked against a schema,
 * one typed error (ServiceCallError) for everything that goes wrong. A call that was broken off (by its connection, or
 * by a balancer's 502) is made again, for what services ask each other may be asked twice; but not a DELETE, which would
 * find nothing the second time and say so. An answer is an answer.
 */
export function createServiceClient({
  dependency,
  url: baseUrl,
  credential,
  timeoutMs = 3000,
}: ServiceClientOptions): ServiceClient {
  const send = async (
    method: string,
    path: string,
    { body, etag }: { body?: string | Buffer | undefined; etag?: string | undefined } = {},
  ) => {
    const what = `${method} ${path} at ${new URL(baseUrl).host}`
    const fetchIt = method === 'DELETE' ? fetch : fetchFromAnother
    const response = await fetchIt(new URL(path, baseUrl), {
      method,
      headers: {
        authorization: `Bearer ${credential}`,
        ...(etag !== undefined && { 'if-none-match': etag }),
        ...(body !== undefined && {
          'content-type': typeof body === 'string' ? 'application/json' : 'application/octet-stream',
        }),
      },
      // Typed as an ArrayBuffer's, which Buffers of our own are: a copy would be one more of up to 4 MiB.
      body: body as string | Buffer<ArrayBuffer> | undefined,
      redirect: 'error',
      signal: AbortSignal.timeout(timeoutMs),
    }).catch((cause: unknown) => {
      throw new ServiceCallError(`${what} did not answer`, { dependency, cause })
    })
    return { what, response }
  }
  const read = async (
    { what, response }: Awaited<ReturnType<typeof send>>,
    schema: TSchema,
  ): Promise<unknown> => {
    const answer: unknown = await response.json().catch(() => undefined)
    if (!response.ok) {
      const { detail: text } = Object(answer) as { detail?: unknown }
      const detail = typeof text === 'string' ? text : undefined
      const retryAfter = response.headers.get('retry-after')
      throw new ServiceCallError(
        `${what} answered ${response.status}${detail === undefined ? '' : `: ${detail}`}`,
        {
          dependency,
          status: response.status,
          detail,
          retryAfterSeconds: retryAfter !== null && /^\d+$/.test(retryAfter) ? Number(retryAfter) : undefined,
        },
      )
    }
    if (!Value.Check(schema, answer))
      throw new ServiceCallError(`${what} answered in an unknown shape`, { dependency })
    return answer
  }
  const call = async (method: string, path: string, schema: TSchema, body?: string | Buffer) =>
    read(await send(method, path, { body }), schema)
  return {
    get: (path, schema) => call('GET', path, schema) as never,
    async getIfChanged(path, schema, etag) {
      const sent = await send('GET', path, { etag })
      if (sent.response.status !== 304) {
        const value = (await read(sent, schema)) as never
        return { value, etag: sent.response.headers.get('etag') ?? undefined }
      }
      await sent.response.body?.cancel()
      return undefined
    },
    post: (path, body, schema) => call('POST', path, schema, JSON.stringify(body)) as never,
    postBytes: (path, bytes, schema) => call('POST', path, schema, bytes) as never,
    delete: (path, schema) => call('DELETE', path, schema) as never,
  }
}

async function fetchFromAnother(url: URL, init: RequestInit): Promise<Response> {
  for (const pause of PAUSES_MS) {
    const response = await fetch(url, init).catch(undefinedIfBrokenOff)
    if (response !== undefined && response.status !== 502) return response
    await response?.body?.cancel()
    await sleep(pause)
  }
  return fetch(url, init)
}

function undefinedIfBrokenOff(error: unknown): undefined {
  const { code } = Object((error as Error).cause) as { code?: unknown }
  if (typeof code !== 'string' || !BROKEN_OFF.has(code)) throw error
}
