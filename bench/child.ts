import type { SpawnOptions } from 'node:child_process'
import { spawn } from 'node:child_process'
import { once } from 'node:events'
import type { ChildOptions, Running } from '../deploy/local/child.ts'
import { startChild as start } from '../deploy/local/child.ts'
import { atEnd } from './cleanup.ts'

/** Runs a program beside this one until the measurement is over. Throws with its last words if it does not serve. */
export async function startChild(options: ChildOptions): Promise<Running> {
  const child = await start(options)
  atEnd(child.stop)
  return child
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
