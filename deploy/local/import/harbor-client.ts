import { explainError } from '@registry-manager/http'
import type { Static, TSchema } from 'typebox'
import { Type } from 'typebox'
import { Value } from 'typebox/value'

/** Deadline of one request, in milliseconds. */
const REQUEST_MS = 30_000
/** A page of 100 entries has some ten kilobytes. */
const MAX_PAGE_BYTES = 4 * 1024 * 1024
const [PAGE, MAX_PAGES] = [100, 1000]

export interface HarborClient {
  get<Schema extends TSchema>(path: string, schema: Schema): Promise<Static<Schema>>
  /** All entries of a list. `query` is added to the page's parameters. */
  list<Schema extends TSchema>(path: string, entry: Schema, query?: string): Promise<Static<Schema>[]>
}

export interface HarborClientOptions {
  readonly url: string
  readonly username: string
  readonly password: string
}

/**
 * A client of Harbor's API 2.0 with Basic credentials, which only reads. The certificate is always verified. Errors
 * name the request, never the credentials.
 * Source: Harbor, api/v2.0/swagger.yaml.
 */
export function createHarborClient({ url, username, password }: HarborClientOptions): HarborClient {
  const base = `${url.replace(/\/$/, '')}/api/v2.0`
  const authorization = `Basic ${Buffer.from(`${username}:${password}`).toString('base64')}`

  const get = async <Schema extends TSchema>(path: string, schema: Schema): Promise<Static<Schema>> => {
    const request = `GET ${base}${path}`
    const text = await fetch(base + path, {
      headers: { authorization, accept: 'application/json' },
      redirect: 'error',
      signal: AbortSignal.timeout(REQUEST_MS),
    }).then(
      async (response) => {
        if (response.ok) return readBounded(request, response)
        await response.body?.cancel()
        throw new Error(`${request}: ${response.status} ${response.statusText}`)
      },
      (error: Error) => {
        throw new Error(`${request}: no response (${explainError(error.cause ?? error)})`)
      },
    )
    const value = tryJson(text)
    if (!Value.Check(schema, value)) {
      const [fault] = Value.Errors(schema, value)
      throw new Error(`${request}: not a response of Harbor (${fault?.instancePath} ${fault?.message})`)
    }
    return value as Static<Schema>
  }

  return {
    get,
    async list<Schema extends TSchema>(path: string, entry: Schema, query = '') {
      const entries: Static<Schema>[] = []
      for (let page = 1; page <= MAX_PAGES; page += 1) {
        const items = await get(`${path}?page=${page}&page_size=${PAGE}${query}`, Type.Array(entry))
        entries.push(...(items as Static<Schema>[]))
        if (items.length < PAGE) return entries
      }
      throw new Error(`GET ${base}${path}: more than ${PAGE * MAX_PAGES} entries`)
    },
  }
}

async function readBounded(request: string, { body }: Response): Promise<string> {
  const [chunks, limit] = [[] as Uint8Array[], MAX_PAGE_BYTES]
  let length = 0
  for await (const chunk of body ?? []) {
    length += chunk.length
    if (length > limit) throw new Error(`${request}: the response is longer than ${limit} bytes`)
    chunks.push(chunk)
  }
  return Buffer.concat(chunks).toString()
}

function tryJson(text: string): unknown {
  try {
    return JSON.parse(text)
  } catch {
    return undefined
  }
}
