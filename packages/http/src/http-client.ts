import type { Static, TSchema } from 'typebox'
import type { Validator } from 'typebox/compile'
import { Compile } from 'typebox/compile'
import type { Dispatcher } from 'undici'
import { Agent, interceptors, request } from 'undici'
import type { Dependency } from './dependency.ts'
import { parseJson } from './parse-json.ts'
import { requestContextHeaders } from './request-context.ts'
import { untilAborted } from './until-aborted.ts'

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
  /** Maximum number of open connections. Further calls wait for a connection, within their deadline. */
  readonly maxConnections?: number
}

export interface ServiceClient {
  get<Schema extends TSchema>(path: string, schema: Schema): Promise<Static<Schema>>
  /**
   * Gets a value unless it still has the given ETag; undefined when it has.
   * Source: RFC 9110 §13.1.2.
   */
  getIfChanged<Schema extends TSchema>(
    path: string,
    schema: Schema,
    etag: string | undefined,
  ): Promise<{ readonly value: Static<Schema>; readonly etag: string | undefined } | undefined>
  /** Sends a value as JSON. */
  post<Schema extends TSchema>(path: string, body: unknown, schema: Schema): Promise<Static<Schema>>
  /** Sends bytes unchanged. */
  postBytes<Schema extends TSchema>(path: string, bytes: Buffer, schema: Schema): Promise<Static<Schema>>
  delete<Schema extends TSchema>(path: string, schema: Schema): Promise<Static<Schema>>
}

/** Pauses before each retry. The first retry is immediate: a balancer may choose another replica for it. */
const RETRY_PAUSES_MS = [0, 50, 150]

/** Error codes (Node's and undici's) of a refused or broken connection. */
const BROKEN_CONNECTION = new Set(['ECONNREFUSED', 'ECONNRESET', 'EPIPE', 'UND_ERR_SOCKET'])

/** Closes an idle connection this long before the server would, so that no request meets a closing connection. */
const KEEP_ALIVE_MARGIN_MS = 1000

/**
 * A client for another service's internal port. Every call has a deadline and carries the context of the current
 * request, every response is validated, and every failure is a ServiceCallError. A call whose connection broke, or that
 * a balancer responded 502 to, is retried: internal calls are idempotent. DELETE is not retried, because a repeat would
 * report "not found". Any other response is final.
 */
export function createServiceClient({
  dependency,
  url,
  credential,
  timeoutMs = 3000,
  maxConnections = 128,
}: ServiceClientOptions): ServiceClient {
  const dispatcher = createDispatcher(maxConnections, timeoutMs)
  const { host } = new URL(url)

  const send = async (
    method: Dispatcher.HttpMethod,
    path: string,
    { body, etag }: { body?: string | Buffer | undefined; etag?: string | undefined } = {},
  ) => {
    const what = `${method} ${path} at ${host}`
    const signal = AbortSignal.timeout(timeoutMs)
    const sending = request(new URL(path, url), {
      dispatcher,
      method,
      headers: {
        authorization: `Bearer ${credential}`,
        ...requestContextHeaders(),
        ...(etag !== undefined && { 'if-none-match': etag }),
        ...(body !== undefined && {
          'content-type': typeof body === 'string' ? 'application/json' : 'application/octet-stream',
        }),
      },
      body,
      signal,
    })
    const response = await untilAborted(sending, signal).catch((cause: unknown) => {
      throw new ServiceCallError(`${what} got no response`, { dependency, cause })
    })
    return { what, response }
  }

  const read = async <Schema extends TSchema>(
    { what, response }: Awaited<ReturnType<typeof send>>,
    schema: Schema,
  ): Promise<Static<Schema>> => {
    const { statusCode: status, headers, body } = response
    const { text, cause } = await body.text().then(
      (text) => ({ text, cause: undefined }),
      (cause: unknown) => ({ text: '', cause: cause ?? new Error('no cause is known') }),
    )
    const value = parseJson(text)
    if (status < 200 || status > 299) {
      const { detail: given } = Object(value) as { detail?: unknown }
      const detail = typeof given === 'string' ? given : undefined
      const why = detail === undefined ? '' : `: ${detail}`
      const retryAfter = String(headers['retry-after'])
      const retryAfterSeconds = /^\d+$/.test(retryAfter) ? Number(retryAfter) : undefined
      const options = { dependency, status, detail, retryAfterSeconds, cause }
      throw new ServiceCallError(`${what} returned ${status}${why}`, options)
    }
    if (cause !== undefined) {
      throw new ServiceCallError(`${what}: the response broke off`, { dependency, cause })
    }
    if (!validatorOf(schema).Check(value)) {
      throw new ServiceCallError(`${what} returned JSON of an unexpected shape`, { dependency })
    }
    return value as Static<Schema>
  }

  const call = async <Schema extends TSchema>(
    method: Dispatcher.HttpMethod,
    path: string,
    schema: Schema,
    body?: string | Buffer,
  ) => read(await send(method, path, { body }), schema)

  return {
    get: (path, schema) => call('GET', path, schema),
    async getIfChanged(path, schema, etag) {
      const sent = await send('GET', path, { etag })
      if (sent.response.statusCode !== 304) {
        const value = await read(sent, schema)
        const { etag: newTag } = sent.response.headers
        return { value, etag: typeof newTag === 'string' ? newTag : undefined }
      }
      await sent.response.body.dump()
      return undefined
    },
    post: (path, body, schema) => call('POST', path, schema, JSON.stringify(body)),
    postBytes: (path, bytes, schema) => call('POST', path, schema, bytes),
    delete: (path, schema) => call('DELETE', path, schema),
  }
}

/** By schema: a compiled validator checks a list of 100 names in 1 µs, `Value.Check` in 100 µs. */
const validators = new WeakMap<TSchema, Validator>()

function validatorOf(schema: TSchema): Validator {
  const known = validators.get(schema)
  if (known !== undefined) return known
  const validator = Compile(schema)
  validators.set(schema, validator)
  return validator
}

/** Awaits a call that turns a 404 response into undefined. */
export async function undefinedIfNotFound<Result>(call: Promise<Result>): Promise<Result | undefined> {
  try {
    return await call
  } catch (error) {
    if (error instanceof ServiceCallError && error.status === 404) return undefined
    throw error
  }
}

function createDispatcher(connections: number, connectTimeoutMs: number): Dispatcher {
  const agent = new Agent({
    connections,
    connect: { timeout: connectTimeoutMs },
    keepAliveTimeoutThreshold: KEEP_ALIVE_MARGIN_MS,
  })
  // With throwOnError the last 502 would become an error without a status.
  return agent.compose(interceptors.retry({ retry: retryBrokenCalls, throwOnError: false }))
}

/** undici calls this for every failed attempt and for every response above 299; `done(error)` ends the retries. */
function retryBrokenCalls(
  error: Error & { readonly code?: string; readonly statusCode?: number },
  { state, opts: { method } }: { state: { counter: number }; opts: { method: string } },
  done: (error?: Error | null) => void,
) {
  const { code = '', statusCode } = error
  const isBroken = statusCode === undefined ? BROKEN_CONNECTION.has(code) : statusCode === 502
  const pause = RETRY_PAUSES_MS[state.counter - 1]
  if (method === 'DELETE' || !isBroken || pause === undefined) return done(error)
  // undici cancels the returned timer when the call's deadline passes.
  return setTimeout(done, pause, null)
}
