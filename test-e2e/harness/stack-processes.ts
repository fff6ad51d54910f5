import { readFile } from 'node:fs/promises'
import { join } from 'node:path'
import { setTimeout as sleep } from 'node:timers/promises'
import type { System } from './system.ts'

export const SERVICES = ['auth-service', 'image-manager', 'registry-proxy'] as const

/** The replicas of a stack of two, by the names of their files. */
export const REPLICAS = SERVICES.flatMap((service) => [`${service}-1`, `${service}-2`])

/** Returns the process id of a process of the stack; undefined while it does not serve. */
export async function pidOf({ dataDir }: System, name: string): Promise<number | undefined> {
  const text = await readFile(join(dataDir, 'run', `${name}.pid`), 'utf8').catch(() => '')
  return text === '' ? undefined : Number(text)
}

/**
 * Maximum number of checks whether a process was restarted. A count, unlike a clock, stops while a machine is
 * suspended.
 */
const [CHECKS, CHECK_MS] = [1200, 50]

/** Sends a signal to a process and waits until the stack has restarted it. Returns the time in milliseconds. */
export async function restartProcess(system: System, name: string, signal: NodeJS.Signals): Promise<number> {
  const before = await pidOf(system, name)
  if (before === undefined) throw new Error(`${name} is not running`)
  const begun = Date.now()
  process.kill(before, signal)
  for (let checks = 0; checks < CHECKS; checks += 1) {
    const current = await pidOf(system, name)
    if (current !== undefined && current !== before) return Date.now() - begun
    await sleep(CHECK_MS)
  }
  throw new Error(`${name} was not restarted after ${(CHECKS * CHECK_MS) / 1000} s:\n${system.output()}`)
}
