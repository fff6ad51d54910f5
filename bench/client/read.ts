import { once } from 'node:events'
import type { IncomingMessage } from 'node:http'
import { Agent, get } from 'node:http'
import { setTimeout as sleep } from 'node:timers/promises'

export interface Read {
  readonly origin: string
  readonly headers: Readonly<Record<string, string>>
  /** The paths are requested in turn. */
  readonly paths: readonly string[]
  readonly requests: number
  /** The number of persistent connections. Each sends one request after another. */
  readonly connections: number
  /** A text whose occurrences in the responses are counted. */
  readonly counted?: string
  /** Limits the read rate, and ends the connection after this time. */
  readonly slowly?: { readonly bytesPerSecond: number; readonly seconds: number }
}

export interface ReadResult {
  /** Time from each request to the last byte of its response. */
  readonly milliseconds: readonly number[]
  readonly bytes: number
  /** Occurrences of the counted text. */
  readonly count: number
}

/** Reads responses of any length without storing them. */
export async function runRead(job: Read): Promise<ReadResult> {
  const { origin, headers, paths, requests, connections } = job
  const agent = new Agent({ keepAlive: true, maxSockets: connections })
  const milliseconds: number[] = []
  const total = { bytes: 0, count: 0 }
  let next = 0
  const work = async () => {
    while (next < requests) {
      const path = paths[next++ % paths.length] ?? ''
      const begin = performance.now()
      const [response] = (await once(get(new URL(path, origin), { agent, headers }), 'response')) as [
        IncomingMessage,
      ]
      if (response.statusCode !== 200) throw new Error(`GET ${path.split('?', 1)[0]}: ${response.statusCode}`)
      const { bytes, count } = await readBody(response, job)
      milliseconds.push(performance.now() - begin)
      total.bytes += bytes
      total.count += count
    }
  }
  await Promise.all(Array.from({ length: connections }, work))
  agent.destroy()
  return { milliseconds, ...total }
}

/** Throws if the response is incomplete. */
async function readBody(response: IncomingMessage, { counted, slowly }: Read) {
  const end = slowly && performance.now() + slowly.seconds * 1000
  let [bytes, count, rest] = [0, 0, Buffer.alloc(0)]
  for await (const chunk of response as AsyncIterable<Buffer>) {
    bytes += chunk.length
    if (counted !== undefined) {
      const text = Buffer.concat([rest, chunk])
      count += countIn(text, counted)
      rest = text.subarray(Math.max(0, text.length - counted.length + 1))
    }
    if (slowly === undefined) continue
    if (performance.now() > (end ?? 0)) break
    await sleep((chunk.length / slowly.bytesPerSecond) * 1000)
  }
  return { bytes, count }
}

function countIn(bytes: Buffer, text: string): number {
  let count = 0
  for (let at = bytes.indexOf(text); at !== -1; at = bytes.indexOf(text, at + text.length)) count += 1
  return count
}
