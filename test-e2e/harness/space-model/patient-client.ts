import { setTimeout as sleep } from 'node:timers/promises'
import type { RegistryClient, RegistryResponse, Sending } from '../registry-client.ts'

export type PatientClient = ReturnType<typeof createPatientClient>
type Request = readonly [method: string, target: string, sending?: Sending]

const PAUSE_MS = 500
/** A count, unlike a clock, stops while a machine is suspended. */
const TRIES = 480

/**
 * A client that repeats requests while a part of the system is killed and restarted: after an interrupted connection,
 * after a 5xx, and after the 409 of work that another process has not finished. Throws after many tries.
 */
export function createPatientClient(client: RegistryClient, unfinished: RegExp) {
  const attempt = async (request: Request): Promise<RegistryResponse | Error> =>
    client.send(...request).catch((error: unknown) => {
      // `fetch` throws a TypeError if the connection fails.
      if (error instanceof TypeError) return error
      throw error
    })

  const send = async (...request: Request): Promise<RegistryResponse> => {
    for (let tries = 1; ; tries += 1) {
      const result = await attempt(request)
      const isFinal =
        !(result instanceof Error) &&
        result.status < 500 &&
        result.status !== 429 &&
        !(result.status === 409 && unfinished.test(String(result.body)))
      if (isFinal) return result
      if (tries < TRIES) {
        await sleep(PAUSE_MS)
        continue
      }
      const what =
        result instanceof Error ? String(result.cause ?? result) : `${result.status} ${result.body}`
      throw new Error(`${request.slice(0, 2).join(' ')} failed ${TRIES} times: ${what}`)
    }
  }

  /** Sends a request and throws if the status is none of the expected ones. */
  const expect = async (statuses: readonly number[], ...request: Request): Promise<RegistryResponse> => {
    const response = await send(...request)
    if (statuses.includes(response.status)) return response
    const wanted = statuses.join(' or ')
    throw new Error(`${request.slice(0, 2).join(' ')}: ${response.status}, not ${wanted}: ${response.body}`)
  }

  /** Sends JSON. */
  const json = (statuses: readonly number[], method: string, target: string, body: unknown) =>
    expect(statuses, method, target, {
      headers: { 'content-type': 'application/json' },
      body: JSON.stringify(body),
    })

  /** Reads all pages of a list of the management API. */
  const list = async <Item>(target: string, limit: number): Promise<readonly Item[]> => {
    const items: Item[] = []
    for (let after: string | null = ''; after !== null;) {
      const query: string = `${target.includes('?') ? '&' : '?'}limit=${limit}${after && `&after=${encodeURIComponent(after)}`}`
      const response = await send('GET', `${target}${query}`)
      // The repository does not exist.
      if (response.status === 404) return items
      if (response.status !== 200)
        throw new Error(`GET ${target}${query}: ${response.status} ${response.body}`)
      items.push(...response.json.items)
      after = response.json.next
    }
    return items
  }

  return { send, expect, json, list }
}
