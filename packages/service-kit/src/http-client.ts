import type { Static, TSchema } from 'typebox'
import { Value } from 'typebox/value'

/** Another service did not answer, or not as agreed. Its cause has the details; it never holds a secret. */
export class ServiceCallError extends Error {
  /** The answer's HTTP status; undefined when there was no answer. */
  readonly status: number | undefined

  constructor(message: string, status?: number, options?: ErrorOptions) {
    super(message, options)
    this.name = 'ServiceCallError'
    this.status = status
  }
}

export interface ServiceClient {
  get<Schema extends TSchema>(path: string, schema: Schema): Promise<Static<Schema>>
  post<Schema extends TSchema>(path: string, body: unknown, schema: Schema): Promise<Static<Schema>>
}

/**
 * A client for another service's internal port: a deadline on every call, answers checked against a schema,
 * one typed error (ServiceCallError) for everything that goes wrong. Retries nothing.
 */
export function createServiceClient(baseUrl: string, credential: string, timeoutMs = 3000): ServiceClient {
  const call = async (method: string, path: string, schema: TSchema, body?: unknown) => {
    const what = `${method} ${path} at ${new URL(baseUrl).host}`
    const response = await fetch(new URL(path, baseUrl), {
      method,
      headers: { authorization: `Bearer ${credential}`, 'content-type': 'application/json' },
      body: body === undefined ? undefined : JSON.stringify(body),
      redirect: 'error',
      signal: AbortSignal.timeout(timeoutMs),
    }).catch((cause: unknown) => {
      throw new ServiceCallError(`${what} did not answer`, undefined, { cause })
    })
    const answer: unknown = await response.json().catch(() => undefined)
    if (!response.ok) throw new ServiceCallError(`${what} answered ${response.status}`, response.status)
    if (!Value.Check(schema, answer)) throw new ServiceCallError(`${what} answered in an unknown shape`)
    return answer
  }
  return {
    get: (path, schema) => call('GET', path, schema) as never,
    post: (path, body, schema) => call('POST', path, schema, body) as never,
  }
}
