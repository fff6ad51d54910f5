import type { Client } from 'ldapts'
import { ResultCodeError } from 'ldapts'
import type { Circuit } from './circuit-breaker.ts'
import { CLOSED, afterFailure, afterRefusal, isClosed, isTrialDue } from './circuit-breaker.ts'
import type { DirectoryLog } from '../directory.ts'
import { DirectoryUnavailable } from '../directory.ts'
import type { DirectoryMetrics } from '../metrics.ts'
import type { DirectoryServer, DirectoryTransport } from './socket.ts'
import { createDirectoryClient, openDirectorySocket } from './socket.ts'

export interface DirectoryServersOptions {
  readonly servers: readonly DirectoryServer[]
  readonly transport: DirectoryTransport
  /** Milliseconds since the epoch. */
  readonly now: () => number
  readonly log: DirectoryLog
  readonly metrics: DirectoryMetrics
}

/** A connection to one of the servers. */
export interface DirectoryConnection {
  readonly client: Client
  /** Records a response of the server. */
  succeeded(): void
  /** Records that the server did not respond. */
  failed(error: unknown): void
  isOpen(): boolean
  close(): void
}

/** Prepares a connection, for example by a bind. An error counts as a failure of the server. */
export type Prepare = (client: Client) => Promise<void>

export interface DirectoryServers {
  /**
   * Connects to the first server that accepts a connection before `endsAt` (a time of `performance.now`). Throws
   * DirectoryUnavailable.
   */
  open(endsAt: number, prepare: Prepare): Promise<DirectoryConnection>
  /** Makes the trials that are due. Returns the connections to servers that are back. */
  makeTrials(prepare: Prepare): Promise<DirectoryConnection[]>
  /** The reason why no server is in use; undefined while one is. */
  failure(): string | undefined
}

/** Timeout of a connection attempt, in milliseconds. */
const CONNECT_MS = 2000
/** A timed-out attempt counts against a server only if it had at least this much time, in milliseconds. */
const MOMENT_MS = 500

/** The servers in order of preference. A server that fails gets no requests until a trial succeeds. */
export function createDirectoryServers(options: DirectoryServersOptions): DirectoryServers {
  const { transport, now, log, metrics } = options
  const states = options.servers.map((server) => ({
    server,
    circuit: CLOSED as Circuit,
    reason: '',
    trying: false,
  }))
  type State = (typeof states)[number]

  const failed = (state: State, error: unknown, isTrial = false) => {
    // Requests that were in flight when the circuit opened add no information.
    if (!isClosed(state.circuit) && !isTrial) return
    const { url } = state.server
    // Only the message: TLS errors contain certificates.
    const reason = (error as Error).message
    state.reason = `${url}: ${reason}`
    const before = state.circuit
    const refused = error instanceof ResultCodeError
    state.circuit = refused ? afterRefusal(before, now()) : afterFailure(before, now())
    if (before.failures > 0 && !(isClosed(before) && !isClosed(state.circuit))) return
    if (refused) log('error', { url, reason }, 'the directory refuses the credentials of the service account')
    else log('warn', { url, reason }, 'a directory server is unavailable')
  }

  const succeeded = (state: State) => {
    if (!isClosed(state.circuit))
      log('info', { url: state.server.url }, 'a directory server is available again')
    state.circuit = CLOSED
  }

  const connect = async (
    state: State,
    endsAt: number,
    prepare: Prepare,
    isTrial = false,
  ): Promise<DirectoryConnection | undefined> => {
    const begun = performance.now()
    try {
      const timeoutMs = Math.max(1, Math.min(CONNECT_MS, endsAt - performance.now()))
      const socket = await openDirectorySocket(state.server, transport, Math.round(timeoutMs))
      metrics.operation('connect', 'ok')
      const client = createDirectoryClient(socket)
      const close = () => void socket.destroy()
      try {
        await before(endsAt, close, () => prepare(client))
      } catch (error) {
        close()
        throw error
      }
      return {
        client,
        succeeded: () => succeeded(state),
        failed: (error) => failed(state, error),
        isOpen: () => socket.readyState === 'open',
        close,
      }
    } catch (error) {
      if (!(error instanceof ResultCodeError)) metrics.operation('connect', 'failed')
      if (hadTime(begun, endsAt)) failed(state, error, isTrial)
      return undefined
    }
  }

  const failure = () =>
    states.some(({ circuit }) => isClosed(circuit))
      ? undefined
      : states.map(({ reason }) => reason).join('; ')

  const attempt = async (state: State, prepare: Prepare) => {
    state.trying = true
    const connection = await connect(state, performance.now() + CONNECT_MS, prepare, true)
    state.trying = false
    if (connection !== undefined) succeeded(state)
    return connection
  }

  return {
    failure,

    async open(endsAt, prepare) {
      for (const state of states) {
        if (!isClosed(state.circuit) || performance.now() >= endsAt) continue
        const connection = await connect(state, endsAt, prepare)
        if (connection !== undefined) return connection
      }
      throw new DirectoryUnavailable(failure() ?? 'no directory server responded in time')
    },

    async makeTrials(prepare) {
      const due = states.filter(({ circuit, trying }) => !trying && isTrialDue(circuit, now()))
      const connections = await Promise.all(due.map((state) => attempt(state, prepare)))
      return connections.filter((connection) => connection !== undefined)
    },
  }
}

/** Whether a failed attempt had enough time for its failure to count against the server. */
export function hadTime(begun: number, endsAt: number): boolean {
  return performance.now() < endsAt || endsAt - begun >= MOMENT_MS
}

/** Waits for work until `endsAt` (a time of `performance.now`), and then calls `cutOff`, which must make it fail. */
export async function before<Result>(
  endsAt: number,
  cutOff: () => void,
  work: () => Promise<Result>,
): Promise<Result> {
  let late = false
  const end = () => {
    late = true
    cutOff()
  }
  const timer = setTimeout(end, Math.max(0, endsAt - performance.now()))
  try {
    return await work()
  } catch (error) {
    throw late ? new Error('no response in time', { cause: error }) : error
  } finally {
    clearTimeout(timer)
  }
}
