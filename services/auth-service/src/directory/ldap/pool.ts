import type { Client } from 'ldapts'
import { ResultCodeError } from 'ldapts'
import { DirectoryUnavailable } from '../directory.ts'
import type { DirectoryConnection, DirectoryServers, Prepare } from './servers.ts'
import { before, hadTime } from './servers.ts'

/**
 * A pool of connections to the directory. A connection is used by one caller at a time. A pool has one purpose: a
 * connection that is bound to the service account is never bound to a user.
 */
export interface DirectoryPool {
  /**
   * Runs work on a prepared connection. Throws DirectoryUnavailable without a response before `endsAt` (a time of
   * `performance.now`), and ResultCodeError for an error that the directory returns.
   */
  run<Result>(endsAt: number, work: (client: Client) => Promise<Result>): Promise<Result>
  /** Opens a connection in advance. Returns whether this succeeded. */
  warmUp(): Promise<boolean>
  /** Adds a prepared connection. */
  add(connection: DirectoryConnection): void
  close(): void
}

/** A firewall may have dropped a connection that was idle longer. */
const MAX_IDLE_MS = 60_000
const WARM_UP_MS = 2000

/** `prepare` is applied to every new connection. */
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
      // The server may have closed idle connections, all of them: retry with a new one.
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
    async warmUp() {
      try {
        add(await servers.open(performance.now() + WARM_UP_MS, prepare))
        return true
      } catch {
        return false
      }
    },
    add,
    close,
  }
}
