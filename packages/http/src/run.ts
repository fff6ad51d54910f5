import { setTimeout as sleep } from 'node:timers/promises'
import closeWithGrace from 'close-with-grace'
import type { FastifyInstance } from 'fastify'
import { ConfigError } from './config.ts'
import { INTERNAL_KEEP_ALIVE_MS, drain, isStopping, stopBeingReady } from './drain.ts'
import { explainError } from './explain-error.ts'

export interface RunnableService {
  readonly publicApp: FastifyInstance
  readonly internalApp: FastifyInstance
}

/** A service without a public port: it works for the other services only. */
export interface BackgroundService {
  readonly internalApp: FastifyInstance
}

export interface BackgroundListenOptions {
  readonly host: string
  readonly internalPort: number
}

export interface ListenOptions extends BackgroundListenOptions {
  readonly port: number
  /** Seconds between the signal to stop and the closing of the public port. */
  readonly shutdownDelaySeconds: number
  /** Seconds for which open requests may then continue. */
  readonly shutdownGraceSeconds: number
}

/** Time limit for closing after the last request, in milliseconds. */
const CLOSE_MS = 4000
/** Time limit for the open requests and the work of a stopping service without a public port, in milliseconds. */
const BACKGROUND_GRACE_MS = 6000
/** A service that is not ready after this time opens its public port anyway: its responses name the cause. */
const READY_MS = 10_000

/**
 * The body of a service's `main.ts`. Listens on the internal port, and on the public port, if there is one, once the
 * service is ready. Stops on SIGINT, SIGTERM or an uncaught error: reports not ready, then accepts no more connections,
 * then closes after the last request. A failed start is printed as one line, with exit code 1.
 */
export async function runService(
  create: () => Promise<[RunnableService, ListenOptions] | [BackgroundService, BackgroundListenOptions]>,
): Promise<void> {
  try {
    const [service, options] = await create()
    const { internalApp } = service
    const publicApp = 'publicApp' in service ? service.publicApp : undefined
    const delayMs = 'port' in options ? options.shutdownDelaySeconds * 1000 : 0
    const graceMs = 'port' in options ? options.shutdownGraceSeconds * 1000 : BACKGROUND_GRACE_MS
    closeWithGrace({ delay: delayMs + graceMs + CLOSE_MS }, async ({ err }) => {
      stopBeingReady(internalApp.server)
      if (err) internalApp.log.fatal({ err }, 'stopping after an uncaught error')
      else await finishRequests([publicApp, internalApp], delayMs, graceMs)
      await Promise.all([internalApp.close(), publicApp?.close()])
    })
    await openPorts(publicApp, internalApp, options).catch((error: unknown) => {
      // If the service is stopped while it starts, its ports are closed and `openPorts` fails. That is not a failed
      // start.
      if (!isStopping(internalApp.server)) throw error
    })
  } catch (error) {
    process.stderr.write(`${explainStartFailure(error)}\n`)
    process.exit(1)
  }
}

async function openPorts(
  publicApp: FastifyInstance | undefined,
  internalApp: FastifyInstance,
  options: ListenOptions | BackgroundListenOptions,
): Promise<void> {
  const { host, internalPort } = options
  internalApp.server.keepAliveTimeout = INTERNAL_KEEP_ALIVE_MS
  await internalApp.listen({ host, port: internalPort })
  if (publicApp === undefined || !('port' in options)) return
  await untilReady(internalApp)
  if (!isStopping(internalApp.server)) await publicApp.listen({ host, port: options.port })
}

/** The internal port closes last: other services and metrics need it while requests finish. */
async function finishRequests(
  apps: readonly (FastifyInstance | undefined)[],
  delayMs: number,
  graceMs: number,
): Promise<void> {
  await sleep(delayMs)
  const end = Date.now() + graceMs
  for (const app of apps) if (app !== undefined) await drain(app.server, Math.max(0, end - Date.now()))
}

/** Waits until a service is ready or stops, or READY_MS have passed. */
async function untilReady(internalApp: FastifyInstance): Promise<void> {
  const end = Date.now() + READY_MS
  const isReady = async () => (await internalApp.inject('/readyz')).statusCode === 200
  while (!isStopping(internalApp.server) && Date.now() < end && !(await isReady())) await sleep(20)
}

/** Describes in one sentence why a service failed to start. */
export function explainStartFailure(error: unknown): string {
  if (error instanceof ConfigError) return error.message
  const { code, port, address, syscall } = (error ?? {}) as NodeJS.ErrnoException & {
    port?: number
    address?: string
  }
  const where = port === undefined ? `${address}` : `port ${port} on ${address}`
  if (code === 'EADDRINUSE') return `${where} is in use: free it, or set another port`
  if (code === 'EACCES' && port !== undefined) return `port ${port} needs more rights: set a port above 1023`
  if (code === 'EADDRNOTAVAIL' && syscall === 'listen') {
    return `HOST is ${address}, which is not an address of this machine: set HOST to one of its own, or to 0.0.0.0`
  }
  return explainError(error)
}
