import type { Client } from 'ldapts'
import { ResultCodeError } from 'ldapts'
import { DirectoryUnavailable } from '../directory.ts'
import type { DirectoryConnection, DirectoryServers, Prepare } from './servers.ts'
import { before, hadTime } from './servers.ts'

/**
 * Connections to the directory that stay open, each for one at a time: as many as are used at once. A pool is for
 * one purpose: what is bound to the service account is never bound to a user.
 */
export interface DirectoryPool {
  /**
   * Runs work on a connection that is ready. Throws DirectoryUnavailable when nothing was answered before `endsAt` (of
   * `performance.now`), and ResultCodeError when the directory said no.
   */
  run<Result>(endsAt: number, work: (client: Client) => Promise<Result>): Promise<Result>
  /** Connects, to have a connection and to see that it works; answers whether it does. */
  greet(): Promise<boolean>
  /** Takes a connection that is ready. */
  add(connection: DirectoryConnection): void
  close(): void
}

/** One that was idle longer may have been dropped by something in between, without a word. */
const MAX_IDLE_MS = 60_000
const GREETING_MS = 2000

/** `prepare` makes a new connection ready. */
export function createDirectoryPool(servers: DirectoryServers, prepare: Prepare): DirectoryPool {
  let idle: { connection: DirectoryConnection; since: number }[] = []

  const takeIdle = (): DirectoryConnection | undefined => {
    for (let entry = idle.pop(); entry !== undefined; entry = idle.pop()) {
      const { connection, since } = entry
      if (connection.isOpen() && performance.now() - since < MAX_IDLE_MS) return connection
      connection.close()
    }
    return undefined
  }

  const add = (connection: DirectoryConnection) => {
    connection.succeeded()
    idle.push({ connection, since: performance.now() })
  }

  const close = () => {
    for (const { connection } of idle) connection.close()
    idle = []
  }

  const run = async <Result>(endsAt: number, work: (client: Client) => Promise<Result>): Promise<Result> => {
    const begun = performance.now()
    const reused = takeIdle()
    const connection = reused ?? (await servers.open(endsAt, prepare))
    try {
      const result = await before(endsAt, connection.close, () => work(connection.client))
      add(connection)
      return result
    } catch (error) {
      if (error instanceof ResultCodeError) {
        add(connection)
        throw error
      }
      connection.close()
      // One that was closed while it was idle says nothing of the server, and the others will be closed too.
      if (reused !== undefined && performance.now() < endsAt) {
        close()
        return run(endsAt, work)
      }
      if (hadTime(begun, endsAt)) connection.failed(error)
      throw new DirectoryUnavailable((error as Error).message, { cause: error })
    }
  }

  return {
    run,
    async greet() {
      try {
        add(await servers.open(performance.now() + GREETING_MS, prepare))
        return true
      } catch {
        return false
      }
    },
    add,
    close,
  }
}
