import { createHash } from 'node:crypto'
import type { Connection } from './connection.ts'
import { openConnection } from './connection.ts'

export interface LoadRequest {
  /** GET by default. */
  readonly method?: 'GET' | 'HEAD'
  readonly path: string
  readonly headers: Readonly<Record<string, string>>
  /** Expected digest of the body, `sha256:…`. Without it only the length is checked. */
  readonly digest?: string
}

export interface Load {
  readonly origin: string
  /** Each lane is one connection that sends its requests one after another. */
  readonly lanes: readonly (readonly LoadRequest[])[]
  /** The lanes repeat their requests for this time. Without it they run once. */
  readonly seconds?: number
}

export interface LoadResult {
  readonly seconds: number
  readonly requests: number
  /** Time from each successful request to the last byte of its response. */
  readonly milliseconds: readonly number[]
  readonly bytes: number
  readonly errors: number
  readonly firstError: string | undefined
}

/** Sends the requests of all lanes concurrently. The clock starts when all connections are open. */
export async function runLoad({ origin, lanes, seconds }: Load): Promise<LoadResult> {
  const connections = await Promise.all(lanes.map(() => openConnection(origin)))
  const total = { requests: 0, bytes: 0, errors: 0, firstError: undefined as string | undefined }
  const milliseconds: number[] = []
  const begin = performance.now()
  const isOver = () => seconds === undefined || performance.now() - begin >= seconds * 1000
  const runLane = async (connection: Connection, requests: readonly LoadRequest[]) => {
    do {
      for (const request of requests) {
        const sent = performance.now()
        const bytes = await fetchOne(connection, request)
        total.bytes += bytes
        milliseconds.push(performance.now() - sent)
        total.requests += 1
        if (seconds !== undefined && isOver()) return
      }
    } while (!isOver())
  }
  await Promise.all(
    lanes.map((requests, lane) =>
      // A lane ends with its first error: requests after an error would be a different load.
      runLane(connections[lane] as Connection, requests).catch((error: Error) => {
        total.errors += 1
        total.firstError ??= error.message
      }),
    ),
  )
  const took = (performance.now() - begin) / 1000
  for (const connection of connections) connection.close()
  return { ...total, milliseconds, seconds: took }
}

async function fetchOne(connection: Connection, request: LoadRequest): Promise<number> {
  const { method = 'GET', path, headers, digest } = request
  const hash = digest === undefined ? undefined : createHash('sha256')
  const onBody = hash && ((chunk: Buffer) => void hash.update(chunk))
  const { status, bytes } = await connection.send(method, path, headers, onBody)
  if (status !== 200) throw new Error(`${method} ${path.split('?', 1)[0]}: ${status}`)
  if (hash !== undefined && `sha256:${hash.digest('hex')}` !== digest) {
    throw new Error(`GET ${path}: the digest of the body is wrong`)
  }
  return bytes
}
