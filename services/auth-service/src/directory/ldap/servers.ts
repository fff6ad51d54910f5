import type { Client } from 'ldapts'
import { ResultCodeError } from 'ldapts'
import type { Circuit } from './circuit-breaker.ts'
import { CLOSED, afterFailure, afterRefusal, isClosed, isTrialDue } from './circuit-breaker.ts'
import { DirectoryUnavailable } from '../directory.ts'
import type { DirectoryMetrics } from '../metrics.ts'
import type { DirectoryServer, DirectoryTransport } from './socket.ts'
import { createDirectoryClient, openDirectorySocket } from './socket.ts'

export type DirectoryLog = (level: 'info' | 'warn' | 'error', details: object, message: string) => void

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
  /** Tells that its server answered. */
  succeeded(): void
  /** Tells that its server did not answer. */
  failed(error: unknown): void
  isOpen(): boolean
  close(): void
}

/** Makes a connection ready for use: binds it, say. What it throws counts against the server. */
export type Prepare = (client: Client) => Promise<void>

export interface DirectoryServers {
  /** Connects to the first server that can be had before `endsAt` (of `performance.now`). Throws DirectoryUnavailable. */
  open(endsAt: number, prepare: Prepare): Promise<DirectoryConnection>
  /** Asks servers that failed whether they are back; answers connections to those that are. */
  tryAgain(prepare: Prepare): Promise<DirectoryConnection[]>
  /** Why no server is asked at present; undefined while one is. */
  failure(): string | undefined
}

/** The longest that connecting may take, in milliseconds. */
const CONNECT_MS = 2000
const MOMENT_MS = 500

/** The directory's servers in their order. One that fails is left alone until a trial shows that it is back. */
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
    // What was under way when a server was given up says nothing new.
    if (!isClosed(state.circuit) && !isTrial) return
    const { url } = state.server
    // The message alone: an error of TLS has whole certificates about it.
    const reason = (error as Error).message
    state.reason = `${url}: ${reason}`
    const before = state.circuit
    const refused = error instanceof ResultCodeError
    state.circuit = refused ? afterRefusal(before, now()) : afterFailure(before, now())
    if (before.failures > 0 && !(isClosed(before) && !isClosed(state.circuit))) return
    if (refused) log('error', { url, reason }, 'the directory refuses its service account')
    else log('warn', { url, reason }, 'a server of the directory is unavailable')
  }

  const succeeded = (state: State) => {
    if (!isClosed(state.circuit)) log('info', { url: state.server.url }, 'a server of the directory is back')
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
      throw new DirectoryUnavailable(failure() ?? 'no server of the directory answered in time')
    },

    async tryAgain(prepare) {
      const due = states.filter(({ circuit, trying }) => !trying && isTrialDue(circuit, now()))
      const connections = await Promise.all(due.map((state) => attempt(state, prepare)))
      return connections.filter((connection) => connection !== undefined)
    },
  }
}

/** Whether what failed by now had time to succeed: a server that was given less than a moment has not failed. */
export function hadTime(begun: number, endsAt: number): boolean {
  return performance.now() < endsAt || endsAt - begun >= MOMENT_MS
}

/** Waits for work until `endsAt` (of `performance.now`); what is not done then is cut off, so that it fails. */
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
    throw late ? new Error('no answer in time', { cause: error }) : error
  } finally {
    clearTimeout(timer)
  }
}
