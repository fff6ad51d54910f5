import { once } from 'node:events'
import { connect } from 'node:net'
import { basename } from 'node:path'
import type { Running } from '../../deploy/local/child-process.ts'
import { startChild } from '../../deploy/local/child-process.ts'

/** An object that runs cleanup functions when a test or a measurement ends. */
export interface Teardown {
  teardown(cleanup: () => unknown): unknown
}

/** Runs a server until a test ends. Its output goes to a file. Throws if it does not listen. */
export async function startServer(
  scope: Teardown,
  [command, ...args]: readonly [string, ...string[]],
  { host, port, log }: { host: string; port: number; log: string },
): Promise<Running> {
  const server = await startChild({
    name: basename(command),
    command,
    args,
    env: process.env,
    log,
    stopBy: [['SIGTERM', 5000]],
    isReady: () => listens(host, port),
  })
  scope.teardown(server.stop)
  return server
}

async function listens(host: string, port: number): Promise<boolean> {
  const socket = connect({ host, port })
  try {
    await once(socket, 'connect')
    return true
  } catch {
    return false
  } finally {
    socket.destroy()
  }
}
