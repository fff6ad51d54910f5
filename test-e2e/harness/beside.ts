import { spawn } from 'node:child_process'
import { once } from 'node:events'
import { closeSync, openSync, readFileSync } from 'node:fs'
import { connect } from 'node:net'
import { setTimeout as sleep } from 'node:timers/promises'

/** Whatever ends things when a test, or a measurement, is over. */
export interface Ending {
  teardown(end: () => unknown): unknown
}

export interface Beside {
  /** Ends it, and answers once it has ended. */
  stop(): Promise<void>
}

const START_MS = 60_000

/** Runs a server beside a test until the test ends. What it prints goes to a file. Throws when it does not listen. */
export async function runBeside(
  ending: Ending,
  command: readonly [string, ...string[]],
  { host, port, log, env = {} }: { host: string; port: number; log: string; env?: Record<string, string> },
): Promise<Beside> {
  const output = openSync(log, 'w')
  // setpriv ends it even when this process is killed and gets no chance to. Some end when their input does.
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
