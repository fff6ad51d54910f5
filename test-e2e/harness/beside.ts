import { spawn } from 'node:child_process'
import { once } from 'node:events'
import { closeSync, openSync, readFileSync } from 'node:fs'
import { connect } from 'node:net'
import { setTimeout as sleep } from 'node:timers/promises'

/** An object that runs cleanup functions when a test or a measurement ends. */
export interface Ending {
  teardown(end: () => unknown): unknown
}

export interface Beside {
  /** Stops the server and waits for its end. */
  stop(): Promise<void>
}

const START_MS = 60_000

/** Runs a server until a test ends. Its output goes to a file. Throws if it does not listen. */
export async function runBeside(
  ending: Ending,
  command: readonly [string, ...string[]],
  { host, port, log, env = {} }: { host: string; port: number; log: string; env?: Record<string, string> },
): Promise<Beside> {
  const output = openSync(log, 'w')
  // setpriv ends the server even if this process is killed. Some servers end when their input ends.
  const child = spawn('setpriv', ['--pdeathsig=TERM', ...command], {
    stdio: ['pipe', output, output],
    env: { ...process.env, ...env },
  })
  closeSync(output)
  child.stdin?.on('error', () => {})
  let ended = false
  const end = once(child, 'close').then(() => (ended = true))
  const stop = async () => {
    child.kill('SIGTERM')
    const force = setTimeout(() => child.kill('SIGKILL'), 5000)
    await end
    clearTimeout(force)
  }
  ending.teardown(stop)
  const deadline = Date.now() + START_MS
  while (!(await listens(host, port))) {
    if (ended || Date.now() > deadline) {
      throw new Error(`${command[0]} does not listen:\n${readFileSync(log, 'utf8').slice(-2000)}`)
    }
    await sleep(50)
  }
  return { stop }
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
