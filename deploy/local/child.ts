import type { ChildProcess } from 'node:child_process'
import { spawn } from 'node:child_process'
import { closeSync, createReadStream, existsSync, fstatSync, openSync, readSync, statSync } from 'node:fs'
import { text } from 'node:stream/consumers'
import { setTimeout as sleep } from 'node:timers/promises'

const START_MS = 120_000

/** Where Linux can, it ends a child whose parent was killed and had no chance to. */
const SETPRIV = '/usr/bin/setpriv'

export interface ChildOptions {
  readonly name: string
  readonly command: string
  readonly args: readonly string[]
  readonly cwd?: string
  /** PATH and HOME come with it. */
  readonly env?: NodeJS.ProcessEnv
  /** Whom it runs as, its way to our folders kept open; this process's own user when left out. */
  readonly user?: { readonly uid: number; readonly gid: number }
  /** How it is told to end: a signal, and after so many milliseconds the next one. SIGKILL comes last. */
  readonly stopBy?: readonly (readonly [signal: NodeJS.Signals, milliseconds: number])[]
  /** A file to which all that it prints is added. */
  readonly log: string
  /** Whether it serves; gets what it printed up to now. */
  readonly isReady: (printed: string) => boolean | Promise<boolean>
}

export interface Running {
  readonly pid: number
  stop(): Promise<void>
}

/**
 * Runs a program beside this one, and answers once it serves. Throws with its last words when it does not; later
 * calls `onDeath` when it ends without having been told to.
 */
export async function startChild(
  options: ChildOptions,
  onDeath: (reason: string) => void = () => {},
): Promise<Running> {
  const { name, log, isReady, stopBy = [['SIGTERM', 8000]] } = options
  const logged = existsSync(log) ? statSync(log).size : 0
  const child = spawnChild(options)
  let ended: string | undefined
  const exit = new Promise<void>((resolve) => {
    const end = (how: string) => {
      ended ??= how
      resolve()
    }
    child.on('error', (error) => end(error.message))
    child.on('exit', (code, signal) => {
      endGroup(child.pid)
      end(signal ?? `exit ${code}`)
    })
  })
  let stopping = false
  const stop = async () => {
    stopping = true
    for (const [signal, milliseconds] of stopBy) {
      if (ended !== undefined) return
      child.kill(signal)
      await Promise.race([exit, sleep(milliseconds, undefined, { ref: false })])
    }
    if (ended === undefined) child.kill('SIGKILL')
    await exit
  }

  // What earlier starts have logged may be large.
  const printed = () => text(createReadStream(log, { start: logged }))
  const lastLine = async () => (await printed()).trim().split('\n').at(-1) ?? ''
  const deadline = Date.now() + START_MS
  while (!(await isReady(await printed()))) {
    if (ended !== undefined) throw new Error(`${name} does not start (${ended}): ${await lastLine()}`)
    if (stopping || Date.now() > deadline) {
      await stop()
      throw new Error(`${name} does not serve in time: ${await lastLine()}`)
    }
    await sleep(25)
  }
  const tell = async () => {
    await exit
    if (stopping) return
    const words = ended?.startsWith('exit') ? lastLineOf(log) : ''
    onDeath([ended, words].filter(Boolean).join(': '))
  }
  void tell()
  return { pid: child.pid ?? 0, stop }
}

function spawnChild({ command, args, cwd, env, user, stopBy, log }: ChildOptions): ChildProcess {
  const output = openSync(log, 'a', 0o600)
  const [[signal] = ['SIGTERM']] = stopBy ?? []
  const privileges = [...(user === undefined ? [] : asUser(user)), `--pdeathsig=${signal.slice(3)}`]
  const [first = '', ...rest] = [...(existsSync(SETPRIV) ? [SETPRIV, ...privileges] : []), command, ...args]
  // Its own process group: a Ctrl-C is for us, and we end it in our order.
  const child = spawn(first, rest, {
    cwd,
    detached: true,
    stdio: ['ignore', output, output],
    env: { PATH: process.env['PATH'], HOME: process.env['HOME'], ...env },
  })
  closeSync(output)
  return child
}

/** The last line of a file, of whose end it reads no more than 4 KB. */
function lastLineOf(file: string): string {
  const descriptor = openSync(file, 'r')
  try {
    const { size } = fstatSync(descriptor)
    const buffer = Buffer.alloc(Math.min(size, 4096))
    readSync(descriptor, buffer, 0, buffer.length, size - buffer.length)
    return buffer.toString().trim().split('\n').at(-1) ?? ''
  } finally {
    closeSync(descriptor)
  }
}

/** Ends what a program has left behind: nginx's workers live on without their master, and keep its ports. */
function endGroup(pid: number | undefined): void {
  try {
    if (pid !== undefined) process.kill(-pid, 'SIGKILL')
  } catch {
    // Nothing is left, as usual.
  }
}

/**
 * The folders of the one who starts us may be shut to everybody else: of all rights, the way through them stays. It
 * comes with reading what is in them, and not with writing.
 */
export function asUser({ uid, gid }: { readonly uid: number; readonly gid: number }): string[] {
  const capability = '-all,+dac_read_search'
  const ids = [`--reuid=${uid}`, `--regid=${gid}`, '--clear-groups']
  return [...ids, `--inh-caps=${capability}`, `--ambient-caps=${capability}`]
}
