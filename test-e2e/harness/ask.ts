import type { Credentials, Reachable } from './system.ts'
import { basic } from './system.ts'

export interface Question {
  readonly method?: string
  /** Credentials that are sent as Basic. */
  readonly as?: Credentials
  readonly bearer?: string
  readonly body?: string | Buffer
  /** Content-Type of the body. */
  readonly type?: string
}

export interface HttpResponse {
  readonly status: number
  readonly headers: Headers
  readonly text: string
  /** The parsed body of a JSON response. */
  readonly json: unknown
}

/** Sends one HTTP request and reads the whole response. */
export async function ask(
  at: Pick<Reachable, 'url'>,
  path: string,
  question: Question = {},
): Promise<HttpResponse> {
  const { method = 'GET', as, bearer, body, type = 'application/json' } = question
  const headers: Record<string, string> = {}
  if (as !== undefined) headers['authorization'] = basic(as)
  if (bearer !== undefined) headers['authorization'] = `Bearer ${bearer}`
  if (body !== undefined) headers['content-type'] = type
  const response = await fetch(new URL(path, at.url), { method, headers, body: body as never })
  const text = await response.text()
  const isJson = response.headers.get('content-type')?.includes('json') ?? false
  return {
    status: response.status,
    headers: response.headers,
    text,
    json: isJson && text !== '' ? JSON.parse(text) : undefined,
  }
}
