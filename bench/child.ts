import type { SpawnOptions } from 'node:child_process'
import { spawn } from 'node:child_process'
import { once } from 'node:events'
import { closeSync, existsSync, openSync, readFileSync } from 'node:fs'
import { setTimeout as sleep } from 'node:timers/promises'
import { atEnd } from './cleanup.ts'

const START_MS = 60_000
const STOP_MS = 8000

/** Where Linux can, it ends a child whose parent was killed and had no chance to. */
const SETPRIV = '/usr/bin/setpriv'

export interface ChildOptions {
  readonly name: string
  readonly command: string
  readonly args: readonly string[]
  /** PATH and HOME come with it. */
  readonly env?: NodeJS.ProcessEnv
  /** Whom it runs as; this process's own user when left out. */
  readonly user?: { readonly uid: number; readonly gid: number }
  readonly stopBy?: NodeJS.Signals
  /** A file that gets all that it prints, as a service's log does. */
  readonly log: string
  /** Whether it serves; gets what was printed up to now. */
  readonly isReady: (printed: string) => boolean | Promise<boolean>
}

export interface Child {
  readonly pid: number
  stop(): Promise<void>
}

/** Runs a program beside this one until the measurement is over. Throws with its last words if it ends first. */
export async function startChild(options: ChildOptions): Promise<Child> {
  const { name, command, args, env, user, stopBy = 'SIGTERM', log, isReady } = options
  const output = openSync(log, 'w')
  // Its own process group: a Ctrl-C is for us, and we end it in our order.
  const endWithUs = existsSync(SETPRIV) ? [SETPRIV, `--pdeathsig=${stopBy.slice(3)}`] : []
  const [first = '', ...rest] = [...endWithUs, command, ...args]
  const child = spawn(first, rest, {
    detached: true,
    stdio: ['ignore', output, output],
    env: { PATH: process.env['PATH'], HOME: process.env['HOME'], ...env },
    ...user,
  })
  closeSync(output)
  const exit = new Promise<string>((resolve) => {
    child.on('error', (error) => resolve(error.message))
    child.on('exit', (code, signal) => resolve(`exit ${code ?? signal}`))
  })
  let ended: string | undefined
  void exit.then((how) => (ended = how))
  const stop = async () => {
    if (ended !== undefined) return
    child.kill(stopBy)
    const force = setTimeout(() => child.kill('SIGKILL'), STOP_MS)
    await exit
    clearTimeout(force)
  }
  atEnd(stop)

  const printed = () => readFileSync(log, 'utf8')
  const deadline = Date.now() + START_MS
  while (!(await isReady(printed()))) {
    if (ended !== undefined) throw new Error(`${name} does not start (${ended}):\n${printed().slice(-2000)}`)
    if (Date.now() > deadline) throw new Error(`${name} does not serve in time:\n${printed().slice(-2000)}`)
    await sleep(20)
  }
  return { pid: child.pid ?? 0, stop }
}

/** Runs a program to its end. Throws when it fails. */
export async function runToEnd(
  command: string,
  args: readonly string[],
  { env, ...options }: Pick<SpawnOptions, 'env' | 'cwd' | 'uid' | 'gid'>,
): Promise<void> {
  const stdio = ['ignore', 'ignore', 'inherit'] as ['ignore', 'ignore', 'inherit']
  const spawning = { stdio, detached: true, env: { ...process.env, ...env }, ...options }
  const child = spawn(command, args, spawning)
  const exit = once(child, 'exit')
  atEnd(async () => {
    if (child.exitCode !== null || child.signalCode !== null || child.pid === undefined) return
    // With its group: initdb has children of its own.
    process.kill(-child.pid, 'SIGKILL')
    await exit
  })
  const [code, signal] = await exit
  if (code !== 0) throw new Error(`${command} ended with ${code ?? signal}`)
}

/** Whether a URL answers with this status. */
export async function answers(url: string, status = 200): Promise<boolean> {
  const response = await fetch(url, { signal: AbortSignal.timeout(1000) }).catch(() => undefined)
  await response?.body?.cancel()
  return response?.status === status
}
