import { once } from 'node:events'
import type { IncomingMessage } from 'node:http'
import { Agent, get } from 'node:http'
import { setTimeout as sleep } from 'node:timers/promises'

export interface Read {
  readonly origin: string
  readonly headers: Readonly<Record<string, string>>
  /** What is asked for, in turns. */
  readonly paths: readonly string[]
  readonly requests: number
  /** How many connections make them, one after another on each; they stay open. */
  readonly connections: number
  /** A text that is counted in the answers. */
  readonly counted?: string
  /** Reads no faster, and goes away when the time is over. */
  readonly slowly?: { readonly bytesPerSecond: number; readonly seconds: number }
}

export interface ReadResult {
  /** How long each request took to the last byte of its answer. */
  readonly milliseconds: readonly number[]
  readonly bytes: number
  /** How often the counted text came. */
  readonly count: number
}

/** Reads answers of any length, as an HTTP client does that holds none of them. */
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
      const [answer] = (await once(get(new URL(path, origin), { agent, headers }), 'response')) as [
        IncomingMessage,
      ]
      if (answer.statusCode !== 200) throw new Error(`GET ${path.split('?', 1)[0]}: ${answer.statusCode}`)
      const { bytes, count } = await readBody(answer, job)
      milliseconds.push(performance.now() - begin)
      total.bytes += bytes
      total.count += count
    }
  }
  await Promise.all(Array.from({ length: connections }, work))
  agent.destroy()
  return { milliseconds, ...total }
}

/** Throws when the answer breaks off. */
async function readBody(answer: IncomingMessage, { counted, slowly }: Read) {
  const end = slowly && performance.now() + slowly.seconds * 1000
  let [bytes, count, rest] = [0, 0, Buffer.alloc(0)]
  for await (const chunk of answer as AsyncIterable<Buffer>) {
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
