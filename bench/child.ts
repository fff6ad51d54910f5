import type { SpawnOptions } from 'node:child_process'
import { spawn } from 'node:child_process'
import { once } from 'node:events'
import type { ChildOptions, Running } from '../deploy/local/child-process.ts'
import { startChild as start } from '../deploy/local/child-process.ts'
import { atEnd } from './cleanup.ts'

/** Runs a program until the measurement ends. Throws with the last line of its output if it does not serve. */
export async function startChild(options: ChildOptions): Promise<Running> {
  const child = await start(options)
  atEnd(child.stop)
  return child
}

/** Runs a program until it exits. Throws if it fails. */
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
    // Kills the whole process group: initdb has child processes.
    process.kill(-child.pid, 'SIGKILL')
    await exit
  })
  const [code, signal] = await exit
  if (code !== 0) throw new Error(`${command} failed: ${code ?? signal}`)
}

/** Tells whether a URL answers with this status. */
export async function respondsWith(url: string, status = 200): Promise<boolean> {
  const response = await fetch(url, { signal: AbortSignal.timeout(1000) }).catch(() => undefined)
  await response?.body?.cancel()
  return response?.status === status
}
