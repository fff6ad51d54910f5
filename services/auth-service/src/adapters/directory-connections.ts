import type { Client } from 'ldapts'
import { ResultCodeError } from 'ldapts'
import { DirectoryAway } from '../domain/directory.ts'
import type { DirectoryConnection, DirectoryServers, Prepare } from './directory-servers.ts'
import { before } from './directory-servers.ts'
import { createSlots } from './slots.ts'

export interface DirectoryConnections {
  /** Runs work on a connection that is bound to the service account. */
  asService<Result>(endsAt: number, work: (client: Client) => Promise<Result>): Promise<Result>
  /** Runs work on a connection of its own, which nobody has bound and nobody gets afterwards. */
  afresh<Result>(endsAt: number, work: (client: Client) => Promise<Result>): Promise<Result>
  /** Connects, to have a connection and to see that it works; answers whether it does. */
  greet(): Promise<boolean>
  /** Tries whether servers that failed are back. */
  tryAgain(): Promise<void>
  close(): void
}

/** Connections of one kind that are open at once. A directory takes only so many new ones in a moment. */
const MAX_AT_ONCE = 8
/** One that was idle longer may have been dropped by something in between, without a word. */
const MAX_IDLE_MS = 60_000
const GREETING_MS = 2500

/**
 * The connections to the directory. Both ways of use throw DirectoryAway when nothing was answered before `endsAt`
 * (of `performance.now`), and ResultCodeError when the directory said no. A connection that was bound to a user is
 * never used for anything else.
 */
export function createDirectoryConnections(
  servers: DirectoryServers,
  bindService: Prepare,
): DirectoryConnections {
  const [pooled, fresh] = [createSlots(MAX_AT_ONCE), createSlots(MAX_AT_ONCE)]
  let idle: { connection: DirectoryConnection; since: number }[] = []
  const late = () => new DirectoryAway(servers.failure() ?? 'the directory was too slow')

  const takeIdle = (): DirectoryConnection | undefined => {
    for (let entry = idle.pop(); entry !== undefined; entry = idle.pop()) {
      const { connection, since } = entry
      if (connection.isOpen() && performance.now() - since < MAX_IDLE_MS) return connection
      connection.close()
    }
    return undefined
  }

  const putBack = (connection: DirectoryConnection) => {
    connection.succeeded()
    idle.push({ connection, since: performance.now() })
  }

  const dropIdle = () => {
    for (const { connection } of idle) connection.close()
    idle = []
  }

  const use = async <Result>(
    connection: DirectoryConnection,
    endsAt: number,
    work: (client: Client) => Promise<Result>,
  ): Promise<Result> => {
    try {
      return await before(endsAt, connection.close, () => work(connection.client))
    } catch (error) {
      if (error instanceof ResultCodeError) connection.succeeded()
      throw error
    }
  }

  const onPooled = async <Result>(
    endsAt: number,
    work: (client: Client) => Promise<Result>,
  ): Promise<Result> => {
    const reused = takeIdle()
    const connection = reused ?? (await servers.open(endsAt, bindService))
    try {
      const result = await use(connection, endsAt, work)
      putBack(connection)
      return result
    } catch (error) {
      if (error instanceof ResultCodeError) {
        putBack(connection)
        throw error
      }
      connection.close()
      // One that was closed while it was idle says nothing of the server, and the others will be closed too.
      if (reused !== undefined && performance.now() < endsAt) {
        dropIdle()
        return onPooled(endsAt, work)
      }
      connection.failed(error)
      throw new DirectoryAway((error as Error).message, { cause: error })
    }
  }

  const onFresh = async <Result>(
    endsAt: number,
    work: (client: Client) => Promise<Result>,
  ): Promise<Result> => {
    const connection = await servers.open(endsAt, async () => {})
    try {
      const result = await use(connection, endsAt, work)
      connection.succeeded()
      return result
    } catch (error) {
      if (error instanceof ResultCodeError) throw error
      connection.failed(error)
      throw new DirectoryAway((error as Error).message, { cause: error })
    } finally {
      connection.close()
    }
  }

  return {
    async greet() {
      try {
        putBack(await servers.open(performance.now() + GREETING_MS, bindService))
        return true
      } catch {
        return false
      }
    },
    asService: (endsAt, work) => pooled.run(endsAt, late, () => onPooled(endsAt, work)),
    afresh: (endsAt, work) => fresh.run(endsAt, late, () => onFresh(endsAt, work)),
    async tryAgain() {
      for (const connection of await servers.tryAgain(bindService)) putBack(connection)
    },
    close: dropIdle,
  }
}
