import { setTimeout as sleep } from 'node:timers/promises'
import closeWithGrace from 'close-with-grace'
import type { FastifyInstance } from 'fastify'
import { ConfigError } from './config.ts'
import { INTERNAL_KEEP_ALIVE_MS, drain, stopBeingReady } from './drain.ts'
import { explainError } from './explain-error.ts'

export interface RunnableService {
  readonly publicApp: FastifyInstance
  readonly internalApp: FastifyInstance
}

export interface ListenOptions {
  readonly host: string
  readonly port: number
  readonly internalPort: number
  /** Between the signal to stop and no more connections. */
  readonly shutdownDelaySeconds: number
  /** How long requests may go on from there. */
  readonly shutdownGraceSeconds: number
}

/** What closing takes once no request is there any more, at most. */
const CLOSE_MS = 4000
/** How long a service that is not ready yet keeps its public port shut: then its answers say what is missing. */
const READY_MS = 10_000

/**
 * The body of a service's `main.ts`: makes the service, listens on both ports, the public one once it is ready, and
 * stops on SIGINT, SIGTERM or a fault: not ready any more, then no more connections, then closed when the requests
 * have ended. What stops it from starting is told in one line, with exit code 1.
 */
export async function runService(create: () => Promise<[RunnableService, ListenOptions]>): Promise<void> {
  try {
    const [service, { host, port, internalPort, ...shutdown }] = await create()
    const { publicApp, internalApp } = service
    const [delayMs, graceMs] = [shutdown.shutdownDelaySeconds * 1000, shutdown.shutdownGraceSeconds * 1000]
    closeWithGrace({ delay: delayMs + graceMs + CLOSE_MS }, async ({ err }) => {
      if (err) publicApp.log.fatal({ err }, 'stopping after a fault')
      else await finishRequests(service, delayMs, graceMs)
      await Promise.all([internalApp.close(), publicApp.close()])
    })
    internalApp.server.keepAliveTimeout = INTERNAL_KEEP_ALIVE_MS
    await internalApp.listen({ host, port: internalPort })
    await untilReady(internalApp)
    await publicApp.listen({ host, port })
  } catch (error) {
    process.stderr.write(`${explainStartFailure(error)}\n`)
    process.exit(1)
  }
}

async function finishRequests({ publicApp, internalApp }: RunnableService, delayMs: number, graceMs: number) {
  stopBeingReady(internalApp.server)
  await sleep(delayMs)
  const end = Date.now() + graceMs
  // The internal port goes last: what is under way may be asked about, and measured, to its end.
  await drain(publicApp.server, graceMs)
  await drain(internalApp.server, Math.max(0, end - Date.now()))
}

/** Waits until a service finds itself ready, or long enough. */
async function untilReady(internalApp: FastifyInstance): Promise<void> {
  const end = Date.now() + READY_MS
  while ((await internalApp.inject('/readyz')).statusCode !== 200 && Date.now() < end) await sleep(20)
}

/** One sentence for what kept a service from starting. */
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
    return `HOST is ${address}, which is no address of this machine: set HOST to one of its own, or to 0.0.0.0`
  }
  return explainError(error)
}
