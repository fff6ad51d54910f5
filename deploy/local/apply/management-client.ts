import { setTimeout as sleep } from 'node:timers/promises'
import { explainError } from '@registry-manager/http'
import type { Static, TSchema } from 'typebox'
import { Type } from 'typebox'
import { Value } from 'typebox/value'

/** Deadline of one request. A list of 10,000 grants takes seconds. */
const REQUEST_MS = 60_000
/** A request that the limits of the server refuse (429) was not executed. It is sent again after Retry-After. */
const [MAX_TRIES, MAX_PAUSE_SECONDS] = [10, 30]
const PAGE = 200

/** A request failed. The message names the request and never contains the credentials. */
export class RequestFailed extends Error {
  /** Undefined if there was no response: a change may or may not have been made. */
  readonly status: number | undefined
  /** The field of the request that the server refused. */
  readonly field: string | undefined

  constructor(message: string, status?: number, field?: string, cause?: unknown) {
    super(message, { cause })
    this.name = 'RequestFailed'
    this.status = status
    this.field = field
  }
}

export interface ManagementClient {
  readonly username: string
  /** Undefined for 404. */
  find<Schema extends TSchema>(path: string, schema: Schema): Promise<Static<Schema> | undefined>
  get<Schema extends TSchema>(path: string, schema: Schema): Promise<Static<Schema>>
  /** All entries of a list in keyset pages (`items` and `next`). */
  list<Schema extends TSchema>(path: string, entry: Schema): Promise<Static<Schema>[]>
  /** Sends a change as JSON, and returns the response's body; undefined if it has none. */
  send(method: 'POST' | 'PUT' | 'PATCH', path: string, body: unknown): Promise<unknown>
}

const Fault = Type.Object({
  detail: Type.Optional(Type.String()),
  field: Type.Optional(Type.String()),
  messages: Type.Optional(Type.Array(Type.Object({ message: Type.String() }))),
})

/** A client of the management API at a URL, with Basic credentials. */
export function createManagementClient({
  url,
  username,
  password,
}: {
  readonly url: string
  readonly username: string
  readonly password: string
}): ManagementClient {
  const base = url.replace(/\/$/, '')
  const authorization = `Basic ${Buffer.from(`${username}:${password}`).toString('base64')}`

  const ask = async (method: string, path: string, body?: unknown) => {
    const request = `${method} ${base}${path}`
    for (let tries = 1; ; tries += 1) {
      const response = await fetch(base + path, {
        method,
        headers: { authorization, ...(body !== undefined && { 'content-type': 'application/json' }) },
        ...(body !== undefined && { body: JSON.stringify(body) }),
        redirect: 'error',
        signal: AbortSignal.timeout(REQUEST_MS),
      }).catch((cause: unknown) => {
        throw new RequestFailed(`${request}: no response (${reasonOf(cause)})`, undefined, undefined, cause)
      })
      const text = await response.text().catch((cause: unknown) => {
        throw new RequestFailed(`${request}: the response ended early`, undefined, undefined, cause)
      })
      const pause = Number(response.headers.get('retry-after') ?? 1)
      if (response.status === 429 && tries < MAX_TRIES && pause <= MAX_PAUSE_SECONDS) {
        await sleep(pause * 1000)
        continue
      }
      if (!response.ok) throw failureOf(request, response.status, text)
      return { request, value: text === '' ? undefined : parseJson(request, text) }
    }
  }

  const get = async <Schema extends TSchema>(path: string, schema: Schema) => {
    const { request, value } = await ask('GET', path)
    if (!Value.Check(schema, value)) {
      const [fault] = Value.Errors(schema, value)
      const where = `${fault?.instancePath ?? ''} ${fault?.message ?? ''}`.trim()
      throw new RequestFailed(`${request}: the response is not that of registry-manager (${where})`)
    }
    return value as Static<Schema>
  }

  return {
    username,
    get,
    async find(path, schema) {
      try {
        return await get(path, schema)
      } catch (error) {
        if (error instanceof RequestFailed && error.status === 404) return undefined
        throw error
      }
    },
    async list<Schema extends TSchema>(path: string, entry: Schema) {
      const Page = Type.Object({ items: Type.Array(entry), next: Type.Union([Type.String(), Type.Null()]) })
      const entries: Static<Schema>[] = []
      let after = ''
      for (;;) {
        const { items, next } = await get(`${path}?limit=${PAGE}${after}`, Page)
        entries.push(...(items as Static<Schema>[]))
        if (next === null) return entries
        after = `&after=${encodeURIComponent(next)}`
      }
    },
    send: async (method, path, body) => (await ask(method, path, body)).value,
  }
}

/** The errors of fetch say only that it failed; their causes say why. */
function reasonOf(error: unknown): string {
  const { cause } = error as Error
  return explainError(cause ?? error)
}

function failureOf(request: string, status: number, text: string): RequestFailed {
  const body = tryJson(text)
  const { detail, field, messages } = Value.Check(Fault, body) ? body : {}
  const reason = detail ?? messages?.[0]?.message ?? 'the response has no explanation'
  return new RequestFailed(`${request}: ${status}, ${reason}`, status, field)
}

function parseJson(request: string, text: string): unknown {
  const value = tryJson(text)
  if (value === undefined) throw new RequestFailed(`${request}: the response is not JSON`)
  return value
}

function tryJson(text: string): unknown {
  try {
    return JSON.parse(text)
  } catch {
    return undefined
  }
}
