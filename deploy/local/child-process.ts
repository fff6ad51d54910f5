import type { ChildProcess } from 'node:child_process'
import { spawn } from 'node:child_process'
import { closeSync, createReadStream, existsSync, fstatSync, openSync, readSync, statSync } from 'node:fs'
import { text } from 'node:stream/consumers'
import { setTimeout as sleep } from 'node:timers/promises'

const START_MS = 120_000
/** The pauses between two questions whether a child is ready; each is longer than the one before. */
const [FIRST_PAUSE_MS, LONGEST_PAUSE_MS] = [25, 200]

/** setpriv(1) has the kernel end a child whose parent was killed (`--pdeathsig`). Linux only. */
const SETPRIV = '/usr/bin/setpriv'

export interface ChildOptions {
  readonly name: string
  readonly command: string
  readonly args: readonly string[]
  readonly cwd?: string
  /** Added to PATH and HOME of this process. */
  readonly env?: NodeJS.ProcessEnv
  /** The user that the program runs as; this process's user by default. */
  readonly user?: { readonly uid: number; readonly gid: number }
  /** The signals that stop the program, each with the milliseconds until the next one. SIGKILL comes last. */
  readonly stopBy?: readonly (readonly [signal: NodeJS.Signals, milliseconds: number])[]
  /** File that stdout and stderr are appended to. */
  readonly log: string
  /** Returns whether the program serves. Gets the output since its start. */
  readonly isReady: (printed: string) => boolean | Promise<boolean>
}

export interface Running {
  readonly pid: number
  stop(): Promise<void>
}

/**
 * Starts a program and resolves once it serves. Throws with the last line of its output when it does not serve in
 * time. Calls `onDeath` when the program ends later without `stop`.
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

  // Skips the output of earlier starts, which may be large.
  const printed = () => text(createReadStream(log, { start: logged }))
  const lastLine = async () => (await printed()).trim().split('\n').at(-1) ?? ''
  const deadline = Date.now() + START_MS
  let pause = FIRST_PAUSE_MS
  while (!(await isReady(await printed()))) {
    if (ended !== undefined) throw new Error(`${name} does not start (${ended}): ${await lastLine()}`)
    if (stopping || Date.now() > deadline) {
      await stop()
      throw new Error(`${name} does not serve in time: ${await lastLine()}`)
    }
    await sleep(pause)
    pause = Math.min(pause * 1.3, LONGEST_PAUSE_MS)
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
  // A process group of its own: Ctrl-C reaches the launcher alone, which stops its children in order.
  const child = spawn(first, rest, {
    cwd,
    detached: true,
    stdio: ['ignore', output, output],
    env: { PATH: process.env['PATH'], HOME: process.env['HOME'], ...env },
  })
  closeSync(output)
  return child
}

/** Returns the last line of a file. Reads at most the last 4 KB. */
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

/** Kills the rest of a program's process group: nginx's workers outlive their master and keep its ports. */
function endGroup(pid: number | undefined): void {
  try {
    if (pid !== undefined) process.kill(-pid, 'SIGKILL')
  } catch {
    // The group is empty, as usual.
  }
}

/**
 * Arguments of setpriv(1) that change the user. Folders of the starting user may be closed to all others, so one
 * capability stays: CAP_DAC_READ_SEARCH, which passes through folders and reads files, and writes none.
 */
export function asUser({ uid, gid }: { readonly uid: number; readonly gid: number }): string[] {
  const capability = '-all,+dac_read_search'
  const ids = [`--reuid=${uid}`, `--regid=${gid}`, '--clear-groups']
  return [...ids, `--inh-caps=${capability}`, `--ambient-caps=${capability}`]
}
