import closeWithGrace from 'close-with-grace'
import type { FastifyInstance } from 'fastify'
import { ConfigError } from './config.ts'

export interface RunnableService {
  readonly publicApp: FastifyInstance
  readonly internalApp: FastifyInstance
}

export interface ListenOptions {
  readonly host: string
  readonly port: number
  readonly internalPort: number
}

/** How long requests may go on after a signal to stop, in milliseconds. */
const GRACE_MS = 4000

/**
 * The body of a service's `main.ts`: makes the service, listens on both ports, and closes it on SIGINT,
 * SIGTERM or a fault. What stops it from starting is told in one line, with exit code 1.
 */
export async function runService(create: () => Promise<[RunnableService, ListenOptions]>): Promise<void> {
  try {
    const [service, { host, port, internalPort }] = await create()
    const apps = [service.internalApp, service.publicApp]
    closeWithGrace({ delay: GRACE_MS }, async ({ err }) => {
      if (err) service.publicApp.log.fatal({ err }, 'stopping after a fault')
      await Promise.all(apps.map((app) => app.close()))
    })
    await service.internalApp.listen({ host, port: internalPort })
    await service.publicApp.listen({ host, port })
  } catch (error) {
    process.stderr.write(`${explainStartFailure(error)}\n`)
    process.exit(1)
  }
}

/** One sentence for what kept a service from starting. */
export function explainStartFailure(error: unknown): string {
  if (error instanceof ConfigError) return error.message
  const { code, port, address, message } = error as NodeJS.ErrnoException & {
    port?: number
    address?: string
  }
  if (code === 'EADDRINUSE') return `port ${port} on ${address} is in use: free it, or set another port`
  if (code === 'EACCES' && port !== undefined) return `port ${port} needs more rights: set a port above 1023`
  return message
}
